"""A small folder of captioned pictures, made on the spot."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pytest
from PIL import Image

from bapa.probe import Design, Probe

NOUNS = ("cat", "dog", "kettle", "violin", "tractor", "lamp", "fern", "bridge")
COLOURS = ("amber", "teal", "ivory")
SMALL = Design(rows=2, cols=2, cell=32)
SIZES = ((40, 30), (30, 40), (32, 32), (64, 20))


def picture(seed: int) -> Image.Image:
    """A picture of its own colour and noise."""
    rng = np.random.default_rng(seed)
    width, height = SIZES[seed % len(SIZES)]
    return Image.fromarray(rng.integers(0, 256, (height, width, 3), dtype=np.uint8))


def write_folder(folder: Path) -> Path:
    """24 PNG pictures "a photo of an amber cat" .. with their nouns as classes, and questions about them."""
    folder.mkdir()
    rows = []
    for seed, (noun, colour) in enumerate((noun, colour) for noun in NOUNS for colour in COLOURS):
        picture(seed).save(folder / f"{seed:02}.png")
        caption = f"a photo of an {colour} {noun}"
        asked = {"question": f"What colour is the {noun}?", "answer": colour}
        rows.append({"file_name": f"{seed:02}.png", "caption": caption, "noun": noun, **asked})
    (folder / "metadata.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_folder(tmp_path / "pictures")


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path_factory.mktemp("cache"))


def table(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "metadata.jsonl").read_text().splitlines()]


def write(folder: Path, rows: list[dict[str, Any]], encoding: str = "utf-8") -> None:
    text = "".join(json.dumps(row, ensure_ascii=encoding == "utf-8") + "\n" for row in rows)
    (folder / "metadata.jsonl").write_text(text, encoding)


def reasons(probe: Probe) -> dict[str, str]:
    return {Path(entry.where).name: entry.reason for entry in probe.left_out}


def captions(probe: Probe) -> set[str]:
    return {item.caption for item in probe.items}
