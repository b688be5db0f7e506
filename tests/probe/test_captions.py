"""Several captions of one picture, and captions that are true of several pictures."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bapa.errors import ProbeError
from bapa.probe import Columns, Design, build
from bapa.probe.records import read_picture

from .conftest import SMALL, table, write


@pytest.mark.parametrize("form", ["rows", "spellings", "list"])
def test_captions_of_one_picture_are_never_asked_about_as_absent(folder: Path, tmp_path: Path, form: str) -> None:
    rows = table(folder)
    true = {row["file_name"]: {row["caption"], row["caption"].replace("photo", "painting")} for row in rows}
    if form == "list":
        write(folder, [{**row, "caption": sorted(true[row["file_name"]])} for row in rows])
    else:
        dot = "./" if form == "spellings" else ""
        again = [
            {**row, "file_name": dot + row["file_name"], "caption": row["caption"].replace("photo", "painting")}
            for row in rows
        ]
        write(folder, rows + again)
    probe = build(str(folder), tmp_path / "P", SMALL, strict=True)
    assert len(probe.items) == 24
    by_digest = {read_picture(folder / name, 32).tobytes(): said for name, said in true.items()}
    of_tile = [by_digest[probe.tile(tile).tobytes()] for tile in range(probe.tiles)]
    for item in probe.items:
        assert len({*item.layout}) == 4
        shown = set().union(*(of_tile[tile] for tile in item.layout))
        assert item.caption in of_tile[item.target]
        assert not {item.absent, item.near_miss} & shown


def test_a_caption_that_is_also_true_of_another_picture_is_not_asked_beside_it(folder: Path, tmp_path: Path) -> None:
    rows = table(folder)
    # Every picture is also what the next one is called; only one picture can be asked about beside few others.
    write(
        folder,
        [
            {**row, "caption": [row["caption"], after["caption"]]}
            for row, after in zip(rows, rows[1:] + rows[:1], strict=True)
        ],
    )
    probe = build(str(folder), tmp_path / "P", SMALL)
    names = [row["caption"] for row in rows]
    after = dict(zip(names, names[1:] + names[:1], strict=True))
    told = pq.read_table(probe.path / "tiles.parquet", columns=["caption"])["caption"].to_pylist()
    for item in probe.items:
        others = [told[tile] for tile in item.layout if tile != item.target]
        assert item.caption not in {after[name] for name in others}
        shown = {true for tile in item.layout for true in (told[tile], after[told[tile]])}
        assert not {item.absent, item.near_miss} & shown


def test_too_many_common_captions_are_one_line(folder: Path, tmp_path: Path) -> None:
    everything = [row["caption"] for row in table(folder)]
    write(folder, [{**row, "caption": [row["caption"], row["caption"], *everything]} for row in table(folder)])
    with pytest.raises(ProbeError, match="true of several pictures"):
        build(str(folder), tmp_path / "P", SMALL)
    with pytest.raises(ProbeError, match="every caption of the source is true"):
        build(str(folder), tmp_path / "P", Design(rows=2, cols=2, cell=32, distractors="none", near_miss=False))


def test_a_picture_repeated_in_a_data_set_keeps_all_its_captions_from_absence(folder: Path, tmp_path: Path) -> None:
    rows = table(folder)
    data = [
        {"image": (folder / row["file_name"]).read_bytes(), "caption": row["caption"].replace("photo", word)}
        for row in rows
        for word in ("photo", "painting")
    ]
    pq.write_table(pa.Table.from_pylist(data), tmp_path / "x.parquet")
    probe = build(str(tmp_path / "x.parquet"), tmp_path / "P", SMALL)
    assert len(probe.items) == len(probe.left_out) == 24
    for item in probe.items:
        assert item.absent.replace("painting", "photo") != item.caption.replace("painting", "photo")


def test_the_class_is_that_of_the_row_whose_caption_is_used(folder: Path, tmp_path: Path) -> None:
    rows = table(folder)
    extra = [{**rows[0], "caption": "a seal", "noun": "seal"}, {**rows[0], "caption": "a seal", "noun": "seal"}]
    write(folder, [*rows, *extra])
    probe = build(str(folder), tmp_path / "P", SMALL, columns=Columns(group="noun"))
    (item,) = (item for item in probe.items if item.caption == "a seal")
    assert probe.attributes(item.target)["group"] == "seal"


def test_further_questions_about_a_picture_are_told(folder: Path, tmp_path: Path) -> None:
    rows = table(folder)
    write(folder, [*rows, {**rows[0], "caption": "a seal", "question": "What is it?", "answer": "a seal"}])
    probe = build(str(folder), tmp_path / "P", Design(rows=2, cols=2, cell=32, task="vqa"))
    assert len(probe.items) == 24
    assert len(probe.left_out) == 1
    assert "the same picture as" in probe.left_out[0].reason
    told = [(row["caption"], row["question"], row["answer"]) for row in table(folder)]
    assert all((item.caption, item.question, item.answer) in told for item in probe.items)
