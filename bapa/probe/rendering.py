"""Writing a probe as plain images, for tools that read nothing else."""

from __future__ import annotations

import json
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from PIL import Image

from bapa.errors import ConfigError
from bapa.probe.files import empty, new_folder
from bapa.probe.item import Item
from bapa.probe.store import Probe
from bapa.progress import counted


def render(probe: Probe, out: str | Path) -> Path:
    """Writes every canvas as PNG into the folder ``out``, with ``metadata.jsonl``: an ImageFolder for ``datasets``.

    One line per canvas: ``file_name``, ``item``, ``cell``, ``row``, ``col``, ``caption`` and ``questions``, a list of
    ``question_id``, ``kind``, ``text``, ``answer``, ``choices``. Images of a prompt and frames of a clip are
    pictures of their own, in their order in ``files``; ``file_name`` is the one with the target.

    Raises:
        ConfigError: ``out`` is not empty.
        ProbeError: ``out`` cannot be written.
    """
    out = Path(out)
    if not empty(out):
        raise ConfigError(f"{out} is not empty; choose a new folder")
    with (
        new_folder(out, last="metadata.jsonl") as folder,
        ThreadPoolExecutor(os.cpu_count()) as pool,
        (folder / "metadata.jsonl").open("w", encoding="utf-8") as metadata,
    ):
        for item in counted(probe.items, len(probe.items), "writing canvases"):
            for line in pool.map(partial(_write, probe, item, folder), range(probe.cells)):
                metadata.write(json.dumps(line, ensure_ascii=False) + "\n")
    return out


def _write(probe: Probe, item: Item, folder: Path, cell: int) -> dict[str, Any]:
    name = f"{item.item:06d}_{cell:03d}.png"
    pictures = probe.cut(probe.compose(item, cell))
    names = [name] if len(pictures) == 1 else [name.replace(".", f"_{k:02}.") for k in range(len(pictures))]
    for file, picture in zip(names, pictures, strict=True):
        Image.fromarray(picture).save(folder / file, compress_level=1)
    more = {"files": names} if len(names) > 1 else {}
    row, col = divmod(cell, probe.cols)
    questions = [asdict(question) for question in probe.questions(item, cell)]
    place = {"item": item.item, "cell": cell, "row": row, "col": col}
    return {"file_name": names[cell if more else 0], **more, **place, "caption": item.caption, "questions": questions}
