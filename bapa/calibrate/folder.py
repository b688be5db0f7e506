"""A model folder that carries a choice: the weights of another folder, linked, and a config that names the scheme."""

from __future__ import annotations

import json
import os
import shutil
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
_README, _BASE = "README.md", "README-of-the-weights.md"


def write(model: Loaded, scheme: Scheme, out: Path) -> None:
    """Make ``out`` the ``model`` under ``scheme``: ``config.bapa`` records it, the other files are linked
    (hard where the disk allows, else as a symbolic link, else copied), and ``README.md`` says it.
    """
    here = folder_of(replace(locate(model.name), revision=model.options.get("revision")))
    out.mkdir(parents=True, exist_ok=True)
    for file in sorted(here.iterdir()):
        place = out / (_BASE if file.name == _README else file.name)
        if file.is_file() and file.name != "config.json" and not place.exists():
            _link(file.resolve(), place)
    config = json.loads((here / "config.json").read_text("utf-8"))
    write_json(out / "config.json", {**config, "bapa": record.entry(scheme)})
    base = f" Their card: [{_BASE}]({_BASE})." if (out / _BASE).exists() else ""
    summary = (type(scheme).__doc__ or "").splitlines()[0].replace("``", "`")
    told = _CARD.format(model=model.name, rule=scheme.label, summary=summary, base=base)
    with replacing(out / _README) as part:
        part.write_text(told, "utf-8")


def _link(file: Path, place: Path) -> None:
    for way in (os.link, os.symlink, shutil.copy2):
        try:
            way(file, place)
            return
        except OSError:
            if way is shutil.copy2:
                raise
