from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pytest
from PIL import Image

from bapa.errors import ConfigError, ProbeError
from bapa.probe import Columns, Design, build, digits, render

from .conftest import NOUNS

SMALL = Design(rows=2, cols=2, cell=32)


def rows(folder: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in (folder / "metadata.jsonl").read_text().splitlines()]


def test_metadata_as_csv(folder: Path, tmp_path: Path) -> None:
    from_json = build(str(folder), tmp_path / "J", SMALL)
    table = rows(folder)
    (folder / "metadata.jsonl").unlink()
    with (folder / "metadata.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, table[0])
        writer.writeheader()
        writer.writerows(table)
    assert build(str(folder), tmp_path / "C", SMALL).fingerprint == from_json.fingerprint


def test_parquet_and_saved_data_sets_with_named_columns(folder: Path, tmp_path: Path) -> None:
    data = datasets.Dataset.from_list(
        [
            {"picture": {"bytes": (folder / row["file_name"]).read_bytes(), "path": None}, "text": row["caption"]}
            for row in rows(folder)
        ],
        features=datasets.Features(picture=datasets.Image(), text=datasets.Value("string")),
    )
    data.to_parquet(tmp_path / "data.parquet")
    data.save_to_disk(tmp_path / "saved")
    datasets.DatasetDict(test=data).save_to_disk(tmp_path / "splits")
    columns = Columns(image="picture", caption="text")
    expected = build(str(folder), tmp_path / "F", SMALL).fingerprint
    for source, split in (("data.parquet", "train"), ("saved", "train"), ("splits", "test")):
        probe = build(str(tmp_path / source), tmp_path / f"P-{source}", SMALL, columns=columns, split=split)
        assert probe.fingerprint == expected
    for source in ("data.parquet", "saved"):
        with pytest.raises(ConfigError, match=r"holds one table and no splits: drop --split test"):
            build(str(tmp_path / source), tmp_path / "Q", SMALL, columns=columns, split="test")
    with pytest.raises(ProbeError, match=r"no column 'image', its columns: picture, text; .* --image-column NAME"):
        build(str(tmp_path / "data.parquet"), tmp_path / "P", SMALL)


def test_a_bad_picture_in_a_data_set_costs_that_picture_only(folder: Path, tmp_path: Path) -> None:
    records = [
        {"image": {"bytes": (folder / row["file_name"]).read_bytes(), "path": None}, "caption": row["caption"]}
        for row in rows(folder)
    ]
    records[7]["image"] = {"bytes": b"no picture", "path": None}
    features = datasets.Features(image=datasets.Image(), caption=datasets.Value("string"))
    datasets.Dataset.from_list(records, features=features).to_parquet(tmp_path / "data.parquet")
    probe = build(str(tmp_path / "data.parquet"), tmp_path / "P", SMALL)
    assert [str(entry) for entry in probe.left_out] == ["data.parquet, row 7: not a readable picture: unknown format"]


def test_class_labels_are_read_by_name(folder: Path, tmp_path: Path) -> None:
    records = [{"image": str(folder / f"{n:02}.png"), "caption": n // 3} for n in range(0, 24, 3)]
    features = datasets.Features(image=datasets.Image(), caption=datasets.ClassLabel(names=list(NOUNS)))
    datasets.Dataset.from_list(records, features=features).save_to_disk(tmp_path / "saved")
    probe = build(str(tmp_path / "saved"), tmp_path / "P", SMALL)
    assert {item.caption for item in probe.items} == set(NOUNS)


def test_no_such_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    with pytest.raises(ProbeError, match=r"cannot open 'no/such' .*accepted are 'digits', a folder"):
        build("no/such", tmp_path / "P")


def test_no_such_folder_is_not_looked_for_on_the_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets, "load_dataset", None)
    with pytest.raises(ProbeError, match=r"there is no '\.\./fotos'; accepted are"):
        build("../fotos", tmp_path / "P")


def test_pictures_without_metadata_say_what_to_write(folder: Path, tmp_path: Path) -> None:
    (folder / "metadata.jsonl").unlink()
    with pytest.raises(ProbeError, match=r'no metadata\.jsonl; write one with a line like \{"file_name": "a\.jpg"'):
        build(str(folder), tmp_path / "P")


def test_broken_metadata_names_the_line(folder: Path, tmp_path: Path) -> None:
    with (folder / "metadata.jsonl").open("a") as file:
        file.write("{oops\n")
    with pytest.raises(ProbeError, match=r"metadata.jsonl, line 25: not JSON"):
        build(str(folder), tmp_path / "P")


def test_pictures_are_upright_and_transparency_is_white(folder: Path, tmp_path: Path) -> None:
    from bapa.probe.records import read_picture

    turned = Image.new("RGB", (20, 10), "red")
    exif = turned.getexif()
    exif[0x0112] = 6  # orientation: turn by 90 degrees
    turned.save(tmp_path / "turned.jpg", exif=exif)
    assert read_picture(tmp_path / "turned.jpg", 20).shape == (20, 10, 3)
    Image.new("RGBA", (8, 8), (255, 0, 0, 0)).save(tmp_path / "clear.png")
    assert (read_picture(tmp_path / "clear.png", 8) == 255).all()
    Image.new("L", (8, 8), 77).save(tmp_path / "grey.png")
    assert (read_picture(tmp_path / "grey.png", 8) == 77).all()


def test_digits_are_those_the_reference_was_not_trained_on(tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    probe = build("digits", tmp_path / "P", Design(items=30))
    assert (probe.rows, probe.cols, probe.cell_px, probe.height, probe.colour) == (3, 3, 24, 72, digits.GROUND)
    table = pq.read_table(probe.path / "tiles.parquet").to_pylist()
    used = {json.loads(row["attributes"])["scan"] for row in table}
    assert not used & set(map(str, digits.scans("train")))
    for item in probe.items:
        present, absent, near = probe.questions(item, 0)
        assert present.text == f"Is there {item.caption} in the image? Answer yes or no."
        assert near.text.split()[4] == present.text.split()[4]  # the digit
        assert near.text.split()[3] != present.text.split()[3]  # the colour
        shown = {table[tile]["caption"].split()[-1] for tile in item.layout}
        assert absent.text.split()[4] not in shown or len(shown) == 10


def test_digits_default_to_240_items_and_scale_to_any_canvas(tmp_path: Path) -> None:
    assert len(build("digits", tmp_path / "P").items) == 240
    large = build("digits", tmp_path / "L", Design(items=4, cell=280))
    assert large.compose(large.items[0], 0).shape == (840, 840, 3)


@pytest.mark.parametrize("options", [{"task": "vqa"}, {"background": "natural"}])
def test_what_digits_cannot_do(tmp_path: Path, options: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match="digits have no"):
        build("digits", tmp_path / "P", Design(**options))


def test_probe_and_plain_images_load_with_datasets(tmp_path: Path) -> None:
    probe = build("digits", tmp_path / "P", Design(items=6))
    items = datasets.load_dataset(str(tmp_path / "P"), "items", split="train")
    assert items["caption"] == [item.caption for item in probe.items]
    tiles = datasets.load_dataset(str(tmp_path / "P"), "tiles", split="train")
    np.testing.assert_array_equal(np.asarray(tiles[5]["image"]), probe.tile(5))
    render(probe, tmp_path / "R")
    images = datasets.load_dataset(str(tmp_path / "R"), split="train")
    assert len(images) == 6 * 9
    for row in images.select([0, 13, 53]):
        item = probe.items[row["item"]]
        np.testing.assert_array_equal(np.asarray(row["image"]), probe.compose(item, row["cell"]))
        assert [q["text"] for q in row["questions"]] == [q.text for q in probe.questions(item, row["cell"])]
    with pytest.raises(ConfigError, match="is not empty"):
        render(probe, tmp_path / "R")


def test_contact_sheet_and_card_say_what_is_inside(folder: Path, tmp_path: Path) -> None:
    (folder / "00.png").write_text("broken")
    probe = build(str(folder), tmp_path / "P", Design(rows=1, cols=5, cell=32))
    sheet = np.asarray(Image.open(probe.path / "contact_sheet.png").convert("RGB"))
    assert sheet.shape[1] == 1640
    assert (sheet == (0xE8, 0x18, 0x6D)).all(-1).sum() > 1000  # the key is outlined
    card = (probe.path / "README.md").read_text()
    assert "present 23, absent 23" in card
    assert "115 canvases of 160 x 32 px" in card
    assert "00.png: not a readable picture" in card
    assert probe.fingerprint in card


@pytest.mark.parametrize(("rows", "cols", "lures"), [(8, 8, "canvas"), (6, 10, "cell")])
def test_digits_fill_large_grids(tmp_path: Path, rows: int, cols: int, lures: str) -> None:
    probe = build("digits", tmp_path / "P", Design(rows=rows, cols=cols, items=8))
    assert probe.design.lures == lures
    assert all(len({*item.layout}) == rows * cols for item in probe.items)


@pytest.mark.parametrize(
    ("columns", "split", "drop"),
    [
        (Columns(image="p"), "train", "drop --image-column"),
        (Columns(caption="p", group="g"), "train", "drop --caption-column, --group-column"),
        (Columns(box="b"), "train", "drop --box-column"),
        (Columns(), "test", "drop --split"),
    ],
)
def test_drawn_sources_take_no_columns_and_no_split(tmp_path: Path, columns: Columns, split: str, drop: str) -> None:
    (tmp_path / "E").mkdir()
    (tmp_path / "E" / "emoji.json").write_text("[]")
    for source in ("digits", str(tmp_path / "E")):
        with pytest.raises(ConfigError, match=f"{drop}$"):
            build(source, tmp_path / "P", Design(items=2), columns=columns, split=split)


def test_a_folder_takes_no_split(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="which has no splits: drop --split"):
        build(str(folder), tmp_path / "P", SMALL, split="test")


@pytest.mark.parametrize(
    ("options", "columns", "drop"),
    [
        ({"choices": 6}, {}, "drop --choices"),
        ({"lines": ("row",)}, {}, "drop --line"),
        ({"task": "where", "slots": "images:4", "lines": ("row",)}, {}, "drop --line"),
        ({"answers": "letters"}, {}, "drop --answers"),
        ({"task": "choice", "answers": "words"}, {}, "drop --answers"),
        ({"task": "count", "distractors": "similar"}, {}, "drop --distractors"),
        ({}, {"question": "q"}, "drop --question-column"),
        ({}, {"answer": "q"}, "drop --answer-column"),
    ],
)
def test_what_a_task_does_not_look_at_is_refused(
    folder: Path, tmp_path: Path, options: dict[str, Any], columns: dict[str, str], drop: str
) -> None:
    with pytest.raises(ConfigError, match=drop):
        build(str(folder), tmp_path / "P", Design(**options), columns=Columns(**columns))
