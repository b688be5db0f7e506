"""Photographs in which a column of boxes tells where the targets stand, several in one."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from PIL import Image

from bapa.probe import Columns, Design, build


def objects(folder: Path) -> None:
    """Each picture with a red dog, a blue cat, and two green birds, one row an object."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    rows = []
    for number in range(12):
        pixels = rng.integers(200, 206, (400, 400, 3), dtype=np.uint8)
        for said, colour, (x, y) in (
            (f"red dog{number}", (255, 0, 0), (180, 190)),
            (f"blue cat{number}", (0, 0, 255), (205, 200)),
            ("green bird", (0, 255, 0), (190, 210)),
            ("green bird", (0, 255, 0), (200, 180)),
        ):
            pixels[y : y + 10, x : x + 10] = colour
            rows.append({"file_name": f"{number}.png", "caption": said, "box": [x, y, 10, 10]})
        Image.fromarray(pixels).save(folder / f"{number}.png")
    (folder / "metadata.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def test_every_box_of_a_picture_is_a_target_under_its_own_caption(tmp_path: Path) -> None:
    objects(tmp_path / "objects")
    design = Design(slots="crop", cell=12)
    probe = build(str(tmp_path / "objects"), tmp_path / "P", design, columns=Columns(box="box"))
    assert len(probe.items) == 24
    for item in probe.items:
        pixels = probe.tile(item.target)
        high, wide = pixels.shape[0] // 2, pixels.shape[1] // 2
        red, green, blue = pixels[high - 3 : high + 3, wide - 3 : wide + 3].reshape(-1, 3).mean(0)
        assert max(red, green, blue) == (red if item.caption.startswith("red") else blue)
        number = "".join(filter(str.isdigit, item.caption))
        for other in (item.absent, item.near_miss):  # never what stands beside it
            assert number != "".join(filter(str.isdigit, other))
        assert probe.unit(item)["picture"] == f"{number}.png"
    assert {entry.reason for entry in probe.left_out} == {"another box of its picture is called 'green bird' too"}
    assert len({entry.where for entry in probe.left_out}) == 24
    assert "0.png, box [190, 210, 10, 10]" in {entry.where.split("/")[-1] for entry in probe.left_out}
    assert build(str(tmp_path / "objects"), probe.path, design, columns=Columns(box="box")).path == probe.path
