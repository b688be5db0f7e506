"""A model folder that carries a choice: the weights of another folder, linked, and a config that names the scheme."""

from __future__ import annotations

import json
import os
import shlex
import shutil
from pathlib import Path

from bapa.attach import record
from bapa.checkpoints.adapter import PEFT_FILE
from bapa.checkpoints.locate import locate
from bapa.errors import ConfigError, ModelError
from bapa.files import write_json
from bapa.schemes import Scheme


def source(name: str) -> Path:
    """The local folder of a model: that of its name, or its snapshot in the hub's cache.

    Raises ModelError where a hub model is not in the cache.
    """
    found = Path(locate(name).path)
    if found.is_dir():
        return found
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        return Path(snapshot_download(name, local_files_only=True))
    except LocalEntryNotFoundError as error:
        raise ModelError(f"{name} is not in the local cache of the hub; load it once: bapa doctor {name}") from error


def check(model: str) -> None:
    """Raise ConfigError where the model called ``model`` is an adapter, whose folder is not that of a model."""
    place = Path(locate(model).path)
    if (place / PEFT_FILE).is_file():
        raise ConfigError(
            f"{model} is an adapter, and calibration writes the folder of a whole model; merge it first: "
            f"bapa export {shlex.quote(model)} --out MERGED"
        )


def write(model: str, scheme: Scheme, out: Path) -> None:
    """Make ``out`` the model called ``model`` under ``scheme``: ``config.bapa`` records it, the other files are linked
    (hard where the disk allows, else as a symbolic link, else copied).
    """
    here = source(model)
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
