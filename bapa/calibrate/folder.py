"""A model folder that carries a choice: the weights of another folder, linked, and a config that names the scheme."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from bapa.attach import record
from bapa.checkpoints import Loaded
from bapa.checkpoints.locate import folder_of, locate
from bapa.files import replacing, write_json
from bapa.schemes import Scheme

_CARD = """# {model} under `{rule}`

{summary}

The weights are those of `{model}`, linked and unchanged. `config.json` names the rule under `bapa`, and
`bapa.from_pretrained` of this folder runs it. Plain transformers read the same weights **without** the rule.{base}
"""
# Sub-folders that commands and trainers write beside a model and that are no part of it.
_BESIDE = ("calibration", "fit", "evaluations", "progress", "checkpoints", "checkpoint-*", "runs", "__pycache__", ".*")
_README, _BASE = "README.md", "README-of-the-weights.md"


def write(model: Loaded, scheme: Scheme, out: Path) -> None:
    """Make ``out`` the ``model`` under ``scheme``: ``config.bapa`` records it, the other files, those of its
    sub-folders included, are linked (hard where the disk allows, else as a symbolic link, else copied), and
    ``README.md`` says it. A file that is there in another size, as of a copy broken off, is made anew.
    """
    here = folder_of(replace(locate(model.name), revision=model.options.get("revision")))
    out.mkdir(parents=True, exist_ok=True)
    places: dict[Path, Path] = {}
    for file in _files(here, out):
        name = file.relative_to(here)
        places.setdefault(out / (_BASE if str(name) == _README else name), file)  # the card of the weights comes first
    for place, file in places.items():
        if place != out / "config.json" and not (place.exists() and place.stat().st_size == file.stat().st_size):
            place.parent.mkdir(parents=True, exist_ok=True)
            place.unlink(missing_ok=True)
            _link(file.resolve(), place)
    config = json.loads((here / "config.json").read_text("utf-8"))
    write_json(out / "config.json", {**config, "bapa": record.entry(scheme)})
    base = f" Their card: [{_BASE}]({_BASE})." if (out / _BASE).exists() else ""
    summary = (type(scheme).__doc__ or "").splitlines()[0].replace("``", "`")
    told = _CARD.format(model=model.name, rule=scheme.label, summary=summary, base=base)
    with replacing(out / _README) as part:
        part.write_text(told, "utf-8")


def _files(here: Path, out: Path) -> Iterator[Path]:
    """The files of the model in ``here``, in order; none of what stands beside it (:data:`_BESIDE`) or of a folder that
    ``out`` is in.
    """
    for path in sorted(here.iterdir()):
        if path.is_file():
            yield path
        elif not any(path.match(name) for name in _BESIDE) and not out.resolve().is_relative_to(path.resolve()):
            yield from sorted(file for file in path.rglob("*") if file.is_file())


def _link(file: Path, place: Path) -> None:
    for way in (os.link, os.symlink):
        with suppress(OSError):
            way(file, place)
            return
    with replacing(place) as part:
        shutil.copy2(file, part)
