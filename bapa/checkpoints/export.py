"""A checkpoint that carries its scheme: for those with bapa, and, by files of code beside it, for those without."""

from __future__ import annotations

import inspect
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import transformers
from safetensors import SafetensorError

from bapa import files
from bapa.attach.api import balance, scheme_of
from bapa.checkpoints import card, modeling, weights
from bapa.checkpoints.bundle import bundle
from bapa.checkpoints.load import Loaded
from bapa.errors import RunError, SchemeError
from bapa.schemes import NATIVE, Scheme, parse

CODE = "modeling_bapa"  # name of the first file of code, as a module
_PART = ".part"
_OURS = {_PART, "lost+found"}  # what may stand in a folder that is free to write to


def export(
    model: Loaded,
    out: str | Path,
    scheme: str | Scheme | None = None,
    *,
    self_contained: bool = False,
    measured: card.Measured | None = None,
) -> Path:
    """Write ``model`` to the folder ``out``: weights (an adapter is merged into them), processor, the scheme in
    ``config.json``, and a model card.

    ``model``: from :func:`bapa.checkpoints.load`; left balanced, and merged. ``scheme``: by default the one it runs
    under; a tuned model cannot be exported under another. ``self_contained``: also write the code that loads it
    balanced where bapa is not installed (``trust_remote_code=True``): the files of this package that it needs, side by
    side. ``measured``: figures of a run for the card, from :func:`bapa.report.card.measured`.

    Raises SchemeError where the scheme is not the one a model was tuned under, or its code cannot stand beside a
    checkpoint; RunError where ``out`` is not empty or cannot be written, or a run measured other weights.
    """
    running = scheme_of(model.model) or NATIVE
    chosen = parse(scheme) if scheme is not None else running
    merged: Any = model.model
    tuned = hasattr(merged, "merge_and_unload")
    if tuned and chosen != running:
        raise SchemeError(f"{model.name} was tuned under {running}; export it under that, not under {chosen}")
    check(out)
    if measured and measured.fingerprint and not _same(measured.fingerprint, model.fingerprint):
        raise RunError(
            f"the run measured {measured.model}, whose weights are not those of {model.name}; measure this model, "
            "bapa measure MODEL --probe PROBE --out RUN, or export it without --run"
        )
    told = card.card(model, chosen, measured, self_contained)
    with _new(Path(out)) as folder:
        merged = balance(merged.merge_and_unload() if tuned else merged, chosen)
        kind = next(kind for kind in type(merged).__mro__ if kind.__module__.rpartition(".")[2] != CODE)
        code = _code(kind, chosen) if self_contained else {}
        merged.save_pretrained(folder)
        model.processor.save_pretrained(folder)
        if names_our_code(merged.config):  # that of an earlier export
            _without_code(folder)
        for name, text in {**code, "README.md": told}.items():
            (folder / name).write_text(text, "utf-8")
        if code:
            _set(folder, {"AutoModelForImageTextToText": f"{CODE}.{kind.__name__}"})
    return Path(out)


def check(out: str | Path) -> None:
    """Raise RunError where ``out`` is not free to be written to: before a model is loaded."""
    out = Path(out)
    if out.exists() and not out.is_dir():
        raise RunError(f"{out} is a file; name a folder: --out FOLDER")
    unfinished = (out / _PART).exists()  # of an export that was killed: what else is there it has moved
    if out.is_dir() and not unfinished and any(path.name not in _OURS for path in out.iterdir()):
        raise RunError(f"{out} is not empty; name a new folder: --out FOLDER")


def _same(one: str, other: str) -> bool:
    """Whether two fingerprints are of the same weights; those of earlier releases cannot be compared."""
    return weights.is_older(one) or weights.of_checkpoint(one) == weights.of_checkpoint(other)


def _without_code(folder: Path) -> None:
    """Leave out the code that transformers has saved with a model."""
    for path in folder.glob("*.py"):
        path.unlink()
    _set(folder, None)


def names_our_code(config: Any) -> bool:
    """Whether a model's config names the code that ``--self-contained`` writes beside it."""
    named = getattr(config, "auto_map", None) or {}
    return any(str(name).rpartition("--")[2].startswith(f"{CODE}.") for name in named.values())


def _set(folder: Path, code: dict[str, str] | None) -> None:
    """Say in the config which code loads the model; None: that of transformers."""
    path = folder / "config.json"
    config = json.loads(path.read_text("utf-8"))
    config.pop("auto_map", None)
    told = {**config, **({"auto_map": code} if code else {})}
    path.write_text(json.dumps(told, indent=2, sort_keys=True) + "\n", "utf-8")


def _code(kind: type, scheme: Scheme) -> dict[str, str]:
    """The files of code of a model of class ``kind`` under ``scheme``."""
    if getattr(transformers, kind.__name__, None) is not kind:
        raise SchemeError(
            f"{kind.__name__} is not a class of transformers, so a self-contained checkpoint cannot build on it; "
            "export it without --self-contained and load it with bapa.from_pretrained"
        )
    source, rule = inspect.getsource(modeling), type(scheme)
    for placeholder, line in (
        ("from transformers import PreTrainedModel as Base", f"from transformers import {kind.__name__} as Base"),
        ("from bapa.schemes.base import Scheme as Rule", f"from {rule.__module__} import {rule.__name__} as Rule"),
        ("class Balanced(Base):", f"class {kind.__name__}(Base):"),
    ):
        if source.count(placeholder) != 1:
            raise RuntimeError(f"bapa/checkpoints/modeling.py must say {placeholder!r} once")
        source = source.replace(placeholder, line)
    return bundle(source, {"bapa", rule.__module__.partition(".")[0]}, CODE)


@contextmanager
def _new(out: Path) -> Iterator[Path]:
    """A folder to write to, whose files become those of ``out`` when all is written; ``out`` may be a mount point."""
    made, part = not out.exists(), out / _PART
    try:
        with files.alone(out):
            try:
                check(out)
                shutil.rmtree(part, ignore_errors=True)  # left by a killed export
                part.mkdir(parents=True)
                yield part
                for path in sorted(part.iterdir(), key=lambda path: path.name == "config.json"):  # makes it a model
                    path.replace(out / path.name)
            finally:
                shutil.rmtree(part, ignore_errors=True)
                if made and out.is_dir() and not any(out.iterdir()):
                    out.rmdir()
    except (OSError, SafetensorError) as error:
        raise RunError(f"cannot write {out}: {getattr(error, 'strerror', None) or error}; nothing was kept") from error
