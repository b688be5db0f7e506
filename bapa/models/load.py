"""A model and its processor by name: a folder, a hub id, or one of the shipped references."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from bapa.errors import ModelError
from bapa.models.api import from_pretrained


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
    """Load ``name``: a local folder, a hub id, ``reference`` or ``reference:NAME``.

    ``dtype``: a torch dtype, or None for float32 on the CPU and the checkpoint's own elsewhere. A model whose config
    records a scheme comes back under it. Raises ModelError where nothing can be loaded under that name.
    """
    from transformers import AutoProcessor

    path = locate(name)
    if dtype is None:
        dtype = torch.float32 if torch.device(device).type == "cpu" else "auto"
    try:
        processor = AutoProcessor.from_pretrained(path, trust_remote_code=trust_remote_code)
        model = from_pretrained(path, dtype=dtype, trust_remote_code=trust_remote_code)
    except (OSError, ValueError, ImportError) as error:
        reason = str(error).strip().splitlines()[0]
        raise ModelError(f"cannot load {name!r} as a vision-language model: {reason}") from error
    model = model.to(device).eval()
    return Loaded(model, processor, name, fingerprint(model))


def fingerprint(model: nn.Module) -> str:
    """SHA-256 over the names, shapes, dtypes and first values of all weights: two models that differ anywhere in
    training differ here.
    """
    digest = hashlib.sha256()
    for name, weight in sorted(model.state_dict().items()):
        head = weight.detach().flatten()[:64].float().cpu().numpy()
        digest.update(f"{name} {tuple(weight.shape)} {weight.dtype}".encode())
        digest.update(head.tobytes())
    return digest.hexdigest()


def locate(name: str) -> str:
    """The folder of a shipped reference or of a local model, or the hub id itself; ModelError for a folder without a
    model.
    """
    kind, _, which = name.partition(":")
    if kind == "reference":
        from bapa import reference

        return str(reference.path(which or "bottom"))
    if name.startswith((".", "/", "~")) or Path(name).exists():
        folder = Path(name).expanduser()
        if not (folder / "config.json").is_file():
            raise ModelError(
                f"{name}: no config.json in it; pass a model folder, a hub id (llava-hf/llava-1.5-7b-hf) or reference"
            )
        return str(folder)
    return name
