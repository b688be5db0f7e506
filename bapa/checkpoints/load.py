"""A model and its processor by name: a folder, a hub id, or one of the shipped references."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from bapa.attach import record
from bapa.attach.api import balance
from bapa.checkpoints.adapter import PEFT_FILE, adapter_base, adapter_scheme, load_adapter
from bapa.checkpoints.locate import locate
from bapa.errors import ModelError


def from_pretrained(path: str | Path, **kwargs: Any) -> nn.Module:
    """A vision-language model from a folder or hub id, under the scheme its config records (native where it records
    none).

    ``kwargs`` go to ``AutoModelForImageTextToText.from_pretrained``.
    """
    from transformers import AutoModelForImageTextToText

    model = AutoModelForImageTextToText.from_pretrained(path, **kwargs)
    scheme = record.read(model.config)
    return balance(model, scheme) if scheme else model


@dataclass(frozen=True)
class Loaded:
    """``model`` in evaluation mode, its ``processor``, the ``name`` it was asked for by, and a ``fingerprint`` of
    config and weights.
    """

    model: nn.Module
    processor: Any
    name: str
    fingerprint: str


def load(
    name: str, *, device: str = "cpu", dtype: torch.dtype | str | None = None, trust_remote_code: bool = False
) -> Loaded:
    """Load ``name``: a local folder, a hub id, ``reference`` or ``reference:NAME``, or the folder of an adapter.

    An adapter folder gives its base model under the scheme the adapter was trained under, with the adapter on it.

    ``dtype``: a torch dtype, or None for float32 on the CPU and the checkpoint's own elsewhere. A model whose config
    records a scheme comes back under it. Raises ModelError where nothing can be loaded under that name.
    """
    from transformers import AutoProcessor

    place = locate(name)
    if (Path(place.path) / PEFT_FILE).is_file():
        return _with_adapter(name, Path(place.path), device=device, dtype=dtype, trust_remote_code=trust_remote_code)
    if dtype is None:
        dtype = torch.float32 if torch.device(device).type == "cpu" else "auto"
    try:
        options = {"trust_remote_code": trust_remote_code, "local_files_only": place.cached}
        processor = AutoProcessor.from_pretrained(place.path, **options)
        model = from_pretrained(place.path, dtype=dtype, **options)
    except (OSError, ValueError, ImportError) as error:
        reason = str(error).strip().splitlines()[0]
        raise ModelError(f"cannot load {name!r} as a vision-language model: {reason}") from error
    model = model.to(device).eval()
    return Loaded(model, processor, name, fingerprint(model))


def _with_adapter(name: str, folder: Path, **options: Any) -> Loaded:
    """The adapter in ``folder`` on its base model, which must be the one it was made on."""
    from transformers import AutoProcessor

    scheme, made_on = adapter_scheme(folder), adapter_base(folder)
    base = load(made_on.name, **options)
    if made_on.fingerprint not in (None, fingerprint(base.model, any_dtype=True)):
        raise ModelError(
            f"{name}: the adapter was made on another model than {made_on.name} is now (their weights differ)"
        )
    model = load_adapter(balance(base.model, scheme), folder).eval()
    own = (folder / "tokenizer_config.json").is_file()
    processor = AutoProcessor.from_pretrained(folder) if own else base.processor
    return Loaded(model, processor, name, fingerprint(model))


def fingerprint(model: nn.Module, *, any_dtype: bool = False) -> str:
    """SHA-256 over the names, shapes, dtypes and first values of all weights: two models that differ anywhere in
    training differ here.

    ``any_dtype``: the same for one checkpoint whatever dtype it is loaded in, to the precision of bfloat16.
    """
    digest = hashlib.sha256()
    for name, weight in sorted(model.state_dict().items()):
        head = weight.detach().flatten()[:64].cpu()
        head = head.to(torch.bfloat16).float() if any_dtype else head.float()
        digest.update(f"{name} {tuple(weight.shape)} {'' if any_dtype else weight.dtype}".encode())
        digest.update(head.numpy().tobytes())
    return digest.hexdigest()
