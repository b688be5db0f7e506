"""A model and its processor by name: a folder, a hub id, or one of the shipped references."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import nn

from bapa.attach import record
from bapa.attach.api import balance
from bapa.checkpoints import processor as processors
from bapa.checkpoints import weights
from bapa.checkpoints.adapter import PEFT_FILE, adapter_base, adapter_scheme, load_adapter
from bapa.checkpoints.chat import Chat
from bapa.checkpoints.device import choose_threads, device_of, dtype_of
from bapa.checkpoints.locate import Place, announce, folder_of, local, locate, present
from bapa.checkpoints.options import LoadOptions
from bapa.errors import ModelError, UnsupportedModelError
from bapa.families.anatomy import find
from bapa.schemes import Scheme

_UNREADABLE = (OSError, ValueError, ImportError, RuntimeError, KeyError, TypeError, AttributeError, SafetensorError)


def from_pretrained(path: str | Path, **kwargs: Any) -> nn.Module:
    """A vision-language model from a folder, hub id or ``reference:NAME``, under the scheme its config records (native
    where it records none). The folder of an adapter gives its base model under the scheme the adapter was trained
    under, with the adapter on it.

    ``kwargs`` go to ``AutoModelForImageTextToText.from_pretrained``.

    Raises ModelError where the checkpoint lacks weights of the model, SchemeError where an adapter does not say what it
    was trained under.
    """
    name = local(str(path))
    if (Path(name) / PEFT_FILE).is_file():
        trained = adapter_scheme(name)
        return _on_base(Path(name), trained, from_pretrained(adapter_base(name).name, **kwargs))
    model = _plain(name, kwargs)
    scheme = record.read(model.config)
    return balance(model, scheme) if scheme else model


def _plain(name: str, kwargs: dict[str, Any]) -> Any:
    """The model as transformers loads it, with all its weights. Those that a checkpoint lacks it would make up."""
    from transformers import AutoModelForImageTextToText

    if Path(name).is_dir() and not kwargs.keys() & {"variant", "subfolder", "gguf_file"}:
        weights.check(Path(name))
    # Transformers names weights of another shape in a table on the screen only, unless it is told to go on.
    told_to = {"output_loading_info": True, "ignore_mismatched_sizes": True}
    model, told = AutoModelForImageTextToText.from_pretrained(name, **{**kwargs, **told_to})
    if unlike := sorted(told["mismatched_keys"]):
        key, held, wanted = unlike[0][0], *(tuple(shape) for shape in unlike[0][1:])
        raise ModelError(
            f"{name}: {len(unlike)} weights have another shape than its config.json says: {key} is {held}, by the "
            f"config {wanted}{', ...' if len(unlike) > 1 else ''}; fetch or save the model again, weights and config"
        )
    if lacking := sorted(told["missing_keys"]):
        raise ModelError(
            f"{name}: the checkpoint lacks {len(lacking)} weight{'s' * (len(lacking) > 1)} of {type(model).__name__}, "
            "which would be random: "
            f"{', '.join(lacking[:3])}{', ...' if len(lacking) > 3 else ''}; fetch or save the model again"
        )
    return model


@dataclass(frozen=True)
class Loaded:
    """``model`` in evaluation mode, its ``processor``, the ``name`` it was asked for by, and a ``fingerprint`` of
    config, weights and dtype. ``chat``: how it is addressed; ``options``: what else was asked for, by name; ``files``:
    those of its processor, as :func:`bapa.checkpoints.processor.digests` has them.
    """

    model: nn.Module
    processor: Any
    name: str
    fingerprint: str
    chat: Chat = field(default_factory=Chat)
    options: Mapping[str, Any] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)

    @property
    def identity(self) -> dict[str, Any]:
        """What decides its answers, for records: name, fingerprint and processor, and all that was asked for."""
        return {"name": self.name, **self.answering}

    @property
    def answering(self) -> dict[str, Any]:
        """The same without the name."""
        told = {"processor": dict(self.files)} if self.files else {}
        return {"fingerprint": self.fingerprint, **told, **self.options, **self.chat.record}


def load(
    name: str,
    *,
    device: str = "auto",
    dtype: torch.dtype | str | None = None,
    trust_remote_code: bool = False,
    chat: Chat | None = None,
    options: LoadOptions | None = None,
) -> Loaded:
    """Load ``name``: a local folder, a hub id, ``reference`` or ``reference:NAME``, or the folder of an adapter.

    An adapter folder gives its base model under the scheme the adapter was trained under, with the adapter on it. A
    model whose config records a scheme comes back under it.

    ``device``: cpu, cuda, cuda:1, mps, or auto: a GPU where there is one. ``dtype``: a torch dtype or its name, also
    fp32, bf16, fp16, or None: float32 on the CPU, bfloat16 for large models on a GPU that has it. ``chat``: how the
    model is addressed. ``options``: what else of loading is to differ.

    Raises ConfigError for a device that is not here, ModelError where nothing can be loaded under that name.
    """
    where, wanted, chat = device_of(device), options or LoadOptions(), chat or Chat()
    place = replace(locate(name), revision=wanted.revision)
    if (Path(place.path) / PEFT_FILE).is_file():
        base: dict[str, Any] = {"device": device, "dtype": dtype, "trust_remote_code": trust_remote_code}
        return _with_adapter(name, Path(place.path), **base, chat=chat, options=options)
    given = {"trust_remote_code": trust_remote_code, "local_files_only": place.cached, **wanted.of_hub(place.path)}
    try:
        processor = _processor(place.path, **given, **wanted.of_processor())
        wanted.check(processor)
        kind = dtype_of(dtype, where, _size(place))
        model = from_pretrained(place.path, dtype=kind, **given, **wanted.of_model(str(where)))
        model = (model if wanted.placed else model.to(where)).eval()
    except _UNREADABLE as error:
        raise ModelError(f"cannot load {name!r} as a vision-language model: {_reason(place.path, error)}") from error
    choose_threads(model, where)
    folder = folder_of(place)
    fingerprint = f"{weights.fingerprint(folder)}-{_dtype(model)}"
    asked = _asked(wanted, trust_remote_code)
    return Loaded(model, processor, name, fingerprint, chat, asked, processors.digests(folder))


@dataclass(frozen=True)
class Expected:
    """What :func:`load` would load: ``fingerprint`` of config and weights, without a dtype. ``asked``: the ``dtype``
    (``auto``: that of the weights, where the config names none) and what else is asked for, by name.
    """

    fingerprint: str
    asked: Mapping[str, Any]


def expect(
    name: str,
    *,
    device: str = "auto",
    dtype: torch.dtype | str | None = None,
    trust_remote_code: bool = False,
    options: LoadOptions | None = None,
) -> Expected | None:
    """What :func:`load` would load with these arguments, without loading it; None where files have to be fetched.

    Raises as it does where there is no such model, device or dtype.
    """
    where, wanted = device_of(device), options or LoadOptions()
    folder = present(replace(locate(name), revision=wanted.revision))
    if folder is None or not all(path.is_file() for path in weights.files(folder)):
        return None
    if Path(local(name)).is_dir() and (folder / PEFT_FILE).is_file():
        asked: dict[str, Any] = {"device": device, "dtype": dtype, "trust_remote_code": trust_remote_code}
        base = expect(adapter_base(folder).name, **asked, options=options)
        return base and Expected(weights.fingerprint(folder, base=base.fingerprint), base.asked)
    kind = dtype_of(dtype, where, weights.size(folder))
    if kind == "auto":
        kind = weights.dtype(folder) or kind
    its = {"dtype": str(kind).removeprefix("torch."), **_asked(wanted, trust_remote_code)}
    return Expected(weights.fingerprint(folder), its)


def _asked(wanted: LoadOptions, trust_remote_code: bool) -> dict[str, Any]:
    return wanted.record | ({"trust_remote_code": True} if trust_remote_code else {})


def size_of(name: str) -> int:
    """Bytes of the weights of the model called ``name``; of one of the hub that is not here, as the hub tells them.

    Raises ModelError where there is no such model.
    """
    return _size(locate(name))


def _size(place: Place) -> int:
    known = place.cached or Path(place.path).is_dir()
    return weights.size(folder_of(place)) if known else announce(place)


def _processor(path: str, **options: Any) -> Any:
    from transformers import AutoProcessor

    processor = AutoProcessor.from_pretrained(path, **options)
    if getattr(processor, "patch_size", 0) is None:
        raise ModelError(
            f"{path}: its {type(processor).__name__} has no patch_size, so it cannot count the tokens of an image; "
            "write the patch_size of vision_config in config.json into processor_config.json"
        )
    return processor


def _with_adapter(name: str, folder: Path, **options: Any) -> Loaded:
    """The adapter in ``folder`` on its base model, which must be the one it was made on."""
    scheme, made_on = adapter_scheme(folder), adapter_base(folder)
    base = load(made_on.name, **options)
    found = weights.first_values(base.model) if weights.is_older(made_on.fingerprint) else base.fingerprint
    if made_on.fingerprint is not None and made_on.fingerprint != weights.of_checkpoint(found):
        raise ModelError(
            f"{name}: the adapter was made on another model than {made_on.name} is now (their weights differ)"
        )
    processor, files = base.processor, base.files
    if (folder / "tokenizer_config.json").is_file():
        files = processors.digests(folder)
        trust, wanted = {"trust_remote_code": options["trust_remote_code"]}, options["options"] or LoadOptions()
        processor = _processor(str(folder), **trust, **wanted.of_processor())
        wanted.check(processor)
    model = _on_base(folder, scheme, base.model).eval()
    fingerprint = weights.fingerprint(folder, base=weights.of_checkpoint(base.fingerprint))
    return Loaded(model, processor, name, f"{fingerprint}-{_dtype(base.model)}", base.chat, base.options, files)


def _on_base(folder: Path, scheme: Scheme, base: nn.Module) -> nn.Module:
    weights.check(folder)
    return load_adapter(balance(base, scheme), folder)


def _dtype(model: nn.Module) -> str:
    return str(next(model.parameters()).dtype).removeprefix("torch.")


def _reason(path: str, error: Exception) -> str:
    """Why the model at ``path`` cannot be loaded, in one line: what Python says of its class, else what stopped us."""
    from transformers import AutoConfig, AutoModel, AutoModelForImageTextToText

    try:
        config = AutoConfig.from_pretrained(path, local_files_only=True)
        if type(config) not in AutoModelForImageTextToText._model_mapping:
            with torch.device("meta"):
                find(AutoModel.from_config(config))
    except UnsupportedModelError as why:
        return str(why)
    except _UNREADABLE:  # then what stopped the loading says more
        pass
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    told = isinstance(error, OSError | ValueError | ImportError | RuntimeError)  # others name a key, say, and no more
    return " ".join([*([] if told and lines else [type(error).__name__]), *lines[:1]])
