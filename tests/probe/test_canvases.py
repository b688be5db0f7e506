from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bapa.errors import ConfigError, ProbeError
from bapa.probe import Design, build
from bapa.probe.canvases import POSITIONS

CELL = 40


def tile(rng: np.random.Generator) -> Image.Image:
    """Smooth random content, as JPEG likes it."""
    blobs = Image.fromarray(rng.integers(0, 256, (3, 3, 3), dtype=np.uint8))
    return blobs.resize((CELL, CELL), Image.Resampling.BICUBIC)


def write_canvases(folder: Path, groups: int) -> Path:
    """Groups in the released layout: the key is inserted among eight others that keep their order."""
    rng = np.random.default_rng(0)
    (folder / "images").mkdir(parents=True)
    lines = []
    for group in range(groups):
        key, others = tile(rng), [tile(rng) for _ in range(8)]
        for cell, position in enumerate(POSITIONS):
            canvas = Image.new("RGB", (3 * CELL, 3 * CELL))
            for place, picture in enumerate([*others[:cell], key, *others[cell:]]):
                canvas.paste(picture, (place % 3 * CELL, place // 3 * CELL))
            name = f"{group:04}_{cell}.jpg"
            canvas.save(folder / "images" / name, quality=90)
            lines.append({"image": name, "caption": f"caption {group}", "position": position})
    path = folder / "probe.json"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


@pytest.fixture
def released(tmp_path: Path) -> Path:
    """Four groups."""
    return write_canvases(tmp_path, 4)


def test_insertion_gives_the_canvases_back(released: Path, tmp_path: Path) -> None:
    probe = build(str(released), tmp_path / "P", Design(placement="insertion"))
    assert (len(probe.items), probe.tiles, probe.cell_px) == (4, 36, CELL)
    for item in probe.items:
        group = item.caption.split()[-1]
        for cell in range(9):
            original = np.asarray(Image.open(released.parent / "images" / f"000{group}_{cell}.jpg")).astype(int)
            assert np.abs(probe.compose(item, cell) - original).mean() < 4
        assert item.absent.startswith("caption ")
        assert item.absent != item.caption


def test_other_placements_can_be_had_from_the_same_tiles(released: Path, tmp_path: Path) -> None:
    probe = build(str(released), tmp_path / "P", Design(placement="swap", items=2, near_miss=False))
    assert (len(probe.items), probe.tiles) == (2, 18)
    item = probe.items[0]
    home, away = probe.compose(item, item.home), probe.compose(item, (item.home + 4) % 9)
    moved = (home != away).reshape(3, CELL, 3, CELL, 3).any((1, 3, 4)).sum()
    assert moved == 2


def test_a_group_of_unlike_canvases_is_left_out(released: Path, tmp_path: Path) -> None:
    (released.parent / "images" / "0002_8.jpg").write_bytes((released.parent / "images" / "0001_8.jpg").read_bytes())
    probe = build(str(released), tmp_path / "P")
    assert len(probe.items) == 3
    (entry,) = probe.left_out
    assert entry.where.endswith("group 0002")
    assert "do not show the same nine pictures" in entry.reason


@pytest.mark.parametrize(("task", "lacking"), [("match", "word"), ("where", "word"), ("name", "name")])
def test_a_group_whose_caption_says_nothing_is_left_out(tmp_path: Path, task: str, lacking: str) -> None:
    path = write_canvases(tmp_path / "six", 6)
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    said = {f"caption {group}": name for group, name in enumerate(["cat", "...", "dog", "fern", "lamp", "kettle"])}
    path.write_text("".join(json.dumps({**row, "caption": said[row["caption"]]}) + "\n" for row in rows))
    probe = build(str(path), tmp_path / "P", Design(task=task, near_miss=False))
    assert (len(probe.items), probe.tiles) == (5, 45), "none of its pictures is kept"
    (entry,) = probe.left_out
    assert (entry.where, entry.reason) == ("probe.json, group 0001", f"its caption '...' holds no {lacking}")


@pytest.mark.parametrize("seed", range(3))
def test_a_group_with_the_target_of_another_is_left_out_with_all_its_pictures(tmp_path: Path, seed: int) -> None:
    """Its other eight alone would take the places of a group, and a target's with them."""
    path = write_canvases(tmp_path / "two", 4)
    for file in sorted((path.parent / "images").glob("0001_*.jpg")):
        (path.parent / "images" / file.name.replace("0001", "0003")).write_bytes(file.read_bytes())
    probe = build(str(path), tmp_path / "P", Design(seed=seed, near_miss=False, items=3))
    assert (len(probe.items), probe.tiles) == (3, 27)
    assert all("same picture as that of group" in entry.reason for entry in probe.left_out)
    whole = build(str(path), tmp_path / "W", Design(seed=seed, near_miss=False))
    assert (len(whole.items), len(whole.left_out)) == (3, 1)


@pytest.mark.parametrize("options", [{"rows": 4}, {"cell": 50}])
def test_the_grid_is_that_of_the_canvases(released: Path, tmp_path: Path, options: dict[str, int]) -> None:
    with pytest.raises(ConfigError, match="drop --"):
        build(str(released), tmp_path / "P", Design(**options))


@pytest.mark.parametrize(
    "options",
    [{"lures": "cell"}, {"distractors": "similar"}, {"background": "natural"}],
    ids=lambda given: next(iter(given)),
)
def test_what_would_need_captions_of_the_other_pictures_is_refused(
    released: Path, tmp_path: Path, options: dict[str, str]
) -> None:
    with pytest.raises(ConfigError, match="drop --lures cell"):
        build(str(released), tmp_path / "P", Design(**options))


def test_rows_about_absent_things_alone_are_refused(released: Path, tmp_path: Path) -> None:
    rows = [json.loads(line) for line in released.read_text().splitlines()]
    released.write_text("".join(json.dumps({**row, "answer": "No"}) + "\n" for row in rows))
    with pytest.raises(ProbeError, match=r"every row of .* has the answer No"):
        build(str(released), tmp_path / "P")


def test_a_row_without_a_canvas_is_told(released: Path, tmp_path: Path) -> None:
    first = json.loads(released.read_text().splitlines()[0])
    rows = [{**first, "answer": "No"}, {"caption": "a cat", "position": "left"}]
    released.write_text("".join(json.dumps(row) + "\n" for row in rows))
    with pytest.raises(ProbeError, match="its first canvas None cannot be opened"):
        build(str(released), tmp_path / "P")
