"""Names of pictures, and where they may lead."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bapa.errors import ProbeError
from bapa.probe import build

from .conftest import SMALL, picture, reasons, table, write


@pytest.mark.parametrize("spelling", ["dot", "backslash", "NFC", "NFD"])
def test_other_spellings_of_a_name(folder: Path, tmp_path: Path, spelling: str) -> None:
    expected = build(str(folder), tmp_path / "F", SMALL).fingerprint
    rows = table(folder)
    (folder / "bilder").mkdir()
    for row in rows:
        name = unicodedata.normalize("NFD" if spelling == "NFC" else "NFC", f"bilder/é{row['file_name']}")
        (folder / row["file_name"]).rename(folder / name)
        row["file_name"] = {"dot": "./" + name, "backslash": name.replace("/", "\\")}.get(
            spelling, unicodedata.normalize(spelling if spelling.startswith("N") else "NFC", name)
        )
    write(folder, rows)
    assert build(str(folder), tmp_path / "P", SMALL, strict=True).fingerprint == expected


def test_hidden_files_are_no_pictures(folder: Path, tmp_path: Path) -> None:
    for name in ("._00.png", "__MACOSX/00.png", ".ipynb_checkpoints/00-checkpoint.png", ".cache/a/b.png"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"Mac OS X")
    assert len(build(str(folder), tmp_path / "P", SMALL, strict=True).items) == 24


def test_a_link_out_of_the_folder_is_not_followed(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    for name, target in (("00.png", tmp_path / "elsewhere" / "00.png"), ("01.png", folder / "kept.png")):
        (folder / name).rename(target)
        (folder / name).symlink_to(target)
    probe = build(str(folder), tmp_path / "P", SMALL)
    assert reasons(probe) == {"00.png": "a link that leads out of its folder", "kept.png": "no caption"}


def test_paths_in_a_parquet_file_start_beside_it(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "decoy").mkdir()
    expected = build(str(folder), tmp_path / "F", SMALL).fingerprint
    kinds = {
        "words": [row["file_name"] for row in table(folder)],
        "cells": [{"bytes": None, "path": row["file_name"]} for row in table(folder)],
    }
    for kind, names in kinds.items():
        rows = [{"image": name, "caption": row["caption"]} for name, row in zip(names, table(folder), strict=True)]
        pq.write_table(pa.Table.from_pylist(rows), folder / f"{kind}.parquet")
        probe = build(str(folder / f"{kind}.parquet"), tmp_path / kind, SMALL, strict=True)
        assert probe.fingerprint == expected
    picture(50).save(tmp_path / "outside.png")
    rows = [{"image": {"bytes": None, "path": str(tmp_path / "outside.png")}, "caption": "a secret"}, *rows]
    pq.write_table(pa.Table.from_pylist(rows), folder / "out.parquet")
    probe = build(str(folder / "out.parquet"), tmp_path / "O", SMALL)
    assert [entry.reason for entry in probe.left_out] == ["leads out of its folder"]


def test_a_split_that_is_not_there(folder: Path, tmp_path: Path) -> None:
    data = datasets.Dataset.from_dict({"image": [str(folder / "00.png")], "caption": ["a cat"]})
    datasets.DatasetDict(validation=data, test=data).save_to_disk(tmp_path / "saved")
    (tmp_path / "files").mkdir()
    data.to_parquet(tmp_path / "files" / "test-0.parquet")
    for source, there in (("saved", "validation, test"), ("files", "test")):
        with pytest.raises(ProbeError, match=rf"has no split 'train', it has {there}; name one: --split NAME"):
            build(str(tmp_path / source), tmp_path / "P", SMALL)


def test_a_saved_data_set_without_rows_is_said(tmp_path: Path) -> None:
    columns = datasets.Features(image=datasets.Image(), caption=datasets.Value("string"))
    datasets.Dataset.from_dict({"image": [], "caption": []}, columns).save_to_disk(tmp_path / "saved")
    with pytest.raises(ProbeError, match="holds no rows; accepted are 'digits'"):
        build(str(tmp_path / "saved"), tmp_path / "P", SMALL)


def test_an_empty_source_is_said(tmp_path: Path) -> None:
    with pytest.raises(ProbeError, match="the source of the pictures is empty; name"):
        build("", tmp_path / "out")
