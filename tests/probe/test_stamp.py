"""A probe is the same only where pictures and captions are."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from bapa.errors import ConfigError
from bapa.probe import build

from .conftest import SMALL, table, write


def _caption(source: Path, folder: Path) -> None:
    write(folder, [{**row, "caption": row["caption"].replace("amber", "beige")} for row in table(folder)])


def _pixels(source: Path, folder: Path) -> None:
    for path in folder.glob("*.bmp"):
        data = bytearray(path.read_bytes())
        data[-20] ^= 255  # of the same size
        path.write_bytes(data)


@pytest.mark.parametrize("change", [_caption, _pixels])
def test_changed_pictures_or_captions_of_a_folder_are_seen(
    folder: Path, tmp_path: Path, change: Callable[[Path, Path], None]
) -> None:
    rows = table(folder)
    for row in rows:
        Image.open(folder / row["file_name"]).save(folder / row["file_name"].replace("png", "bmp"))
        (folder / row["file_name"]).unlink()
    write(folder, [{**row, "file_name": row["file_name"].replace("png", "bmp")} for row in rows])
    first = build(str(folder), tmp_path / "P", SMALL)
    assert build(str(folder), tmp_path / "P", SMALL).fingerprint == first.fingerprint
    times = {path: path.stat() for path in folder.iterdir()}
    change(folder, folder)
    for path, stat in times.items():
        os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))  # as rsync and cp -p leave them
    with pytest.raises(ConfigError, match=r"another probe \(source\.stamp: pictures or captions .* have changed"):
        build(str(folder), tmp_path / "P", SMALL)


@pytest.mark.parametrize("what", ["file", "folder"])
def test_changed_rows_of_a_parquet_file_are_seen(folder: Path, tmp_path: Path, what: str) -> None:
    rows = [{"image": (folder / row["file_name"]).read_bytes(), "caption": row["caption"]} for row in table(folder)]
    (tmp_path / "data").mkdir()
    file = tmp_path / "data" / "x.parquet"
    source = str(file if what == "file" else file.parent)
    changed = [{**row, "caption": row["caption"].replace("photo", "image")} for row in rows]
    for version in (rows, changed):  # captions of as many letters, a file of the same time
        pq.write_table(pa.Table.from_pylist(version), file)
        os.utime(file, (1e9, 1e9))
        if version is rows:
            assert "a photo of" in build(source, tmp_path / "P", SMALL).items[0].caption
    with pytest.raises(ConfigError, match=r"source\.stamp"):
        build(source, tmp_path / "P", SMALL)
    assert "a image of" in build(source, tmp_path / "Q", SMALL).items[0].caption


def test_a_probe_of_few_items_is_stamped_by_what_it_read(folder: Path, tmp_path: Path) -> None:
    few = SMALL.model_copy(update={"items": 2})
    first = build(str(folder), tmp_path / "P", few)
    assert build(str(folder), tmp_path / "P", few).fingerprint == first.fingerprint
