"""A model folder that carries a choice: the weights of another folder, linked, and a config that names the scheme."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

from bapa.attach import record
from bapa.checkpoints.locate import folder_of, locate
from bapa.files import write_json
from bapa.schemes import Scheme


def write(model: str, scheme: Scheme, out: Path) -> None:
    """Make ``out`` the model called ``model`` under ``scheme``: ``config.bapa`` records it, the other files are linked
    (hard where the disk allows, else as a symbolic link, else copied).
    """
    here = folder_of(locate(model))
    out.mkdir(parents=True, exist_ok=True)
    for file in sorted(here.iterdir()):
        if file.is_file() and file.name != "config.json" and not (out / file.name).exists():
            _link(file.resolve(), out / file.name)
    config = json.loads((here / "config.json").read_text("utf-8"))
    write_json(out / "config.json", {**config, "bapa": record.entry(scheme)})


def _link(file: Path, place: Path) -> None:
    for way in (os.link, os.symlink, shutil.copy2):
        try:
            way(file, place)
            return
        except OSError:
            if way is shutil.copy2:
                raise
