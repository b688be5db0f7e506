"""Adapters that know the scheme they were trained under.

An adapter run under another rule gives plausible wrong numbers, so its folder carries the scheme in ``bapa.json``
beside PEFT's own files, and loading compares.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from torch import Tensor, nn

from bapa.attach.api import scheme_of
from bapa.errors import ModelError, SchemeError
from bapa.schemes import NATIVE, Scheme, parse

if TYPE_CHECKING:
    from peft import PeftConfig, PeftModel

FILE, PEFT_FILE = "bapa.json", "adapter_config.json"


@dataclass(frozen=True)
class Base:
    """The model an adapter was made on: its ``name``, and a ``fingerprint`` of its weights in any dtype, None where it
    is not known.
    """

    name: str
    fingerprint: str | None


def save_adapter(
    model: PeftModel, folder: str | Path, *, base: Base | None = None, state_dict: dict[str, Tensor] | None = None
) -> None:
    """Save a PEFT adapter and the scheme its base model runs under.

    ``base``: the model it was made on, for :func:`bapa.checkpoints.load` to find. ``state_dict``: weights gathered from
    several processes.
    """
    model.save_pretrained(str(folder), state_dict=state_dict)
    mark(folder, scheme_of(model) or NATIVE, base)
    if base is not None:
        path = Path(folder) / PEFT_FILE
        path.write_text(
            json.dumps({**json.loads(path.read_text()), "base_model_name_or_path": _findable(base.name)}, indent=2)
        )


def mark(folder: str | Path, scheme: Scheme, base: Base | None = None) -> None:
    """Write into an adapter folder which scheme it was trained under, and on which model."""
    made_on = {"base": {**asdict(base), "name": _findable(base.name)}} if base else {}
    path = Path(folder) / FILE
    part = path.with_name(f"{FILE}.part")
    part.write_text(json.dumps({"scheme": scheme.label, **made_on}) + "\n")
    part.replace(path)  # whole or not at all: it tells that everything before it is there


def _findable(name: str) -> str:
    return str(Path(name).resolve()) if Path(name).exists() else name


@contextmanager
def _as_peft_asks() -> Iterator[None]:
    """PEFT asks a model of transformers for a property by its old name, which warns whoever runs it; only PEFT could do
    something about it.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "`is_gradient_checkpointing` is deprecated", FutureWarning)
        yield


def new_adapter(model: nn.Module, config: PeftConfig) -> PeftModel:
    """``model`` with a fresh adapter, as ``config`` says."""
    from peft import get_peft_model

    with _as_peft_asks():
        return get_peft_model(model, config)


def load_adapter(model: nn.Module, folder: str | Path, *, is_trainable: bool = False) -> PeftModel:
    """``model`` with the adapter in ``folder``.

    Raises SchemeError where the adapter was trained under another scheme than ``model`` runs under, or does not say;
    ModelError where it lacks weights.
    """
    from peft import PeftModel

    trained, running = adapter_scheme(folder), scheme_of(model) or NATIVE
    if trained != running:
        raise SchemeError(
            f"{folder}: the adapter was trained under {trained}, the model runs under {running}; "
            f'call bapa.balance(model, "{trained}") first'
        )
    with _as_peft_asks():
        warnings.filterwarnings("error", "Found missing adapter keys", UserWarning)
        try:
            return PeftModel.from_pretrained(model, str(folder), is_trainable=is_trainable)
        except UserWarning as lacking:
            raise ModelError(
                f"{folder}: the adapter lacks weights, which would be as before training ({lacking}); "
                "fetch it again, or train it again"
            ) from lacking


def adapter_scheme(folder: str | Path) -> Scheme:
    """The scheme an adapter folder carries; SchemeError where it carries none."""
    path = Path(folder) / FILE
    if not path.is_file():
        raise SchemeError(
            f"{folder}: no {FILE}, so the scheme it was trained under is unknown; "
            f"""if it was trained natively, write {{"scheme": "native"}} into it"""
        )
    try:
        return parse(json.loads(path.read_text())["scheme"])
    except (ValueError, KeyError, TypeError) as error:
        raise SchemeError(f'{path}: not of the form {{"scheme": "bapa"}}') from error


def adapter_base(folder: str | Path) -> Base:
    """The model an adapter folder was made on, as bapa recorded it, else as PEFT did.

    Raises ModelError where the files do not tell.
    """
    try:
        record = json.loads((Path(folder) / FILE).read_text()).get("base")
        if record:
            return Base(record["name"], record["fingerprint"])
        return Base(json.loads((Path(folder) / PEFT_FILE).read_text())["base_model_name_or_path"], None)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(
            f"{folder}: neither {FILE} nor {PEFT_FILE} tells which model the adapter was made on; fetch it again, "
            "or train it again"
        ) from error
