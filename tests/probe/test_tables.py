"""Tables beside pictures as editors save them."""

from __future__ import annotations

import codecs
import json
from pathlib import Path

import pytest

from bapa.errors import ProbeError
from bapa.probe import Columns, build

from .conftest import SMALL, captions, reasons, table, write


@pytest.mark.parametrize("mark", ["utf-8-sig", "utf-16", "utf-32"])
def test_byte_order_marks(folder: Path, tmp_path: Path, mark: str) -> None:
    expected = build(str(folder), tmp_path / "F", SMALL).fingerprint
    write(folder, table(folder), mark)
    assert build(str(folder), tmp_path / "P", SMALL).fingerprint == expected


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("mark", [b"", codecs.BOM_UTF8])
def test_csv_of_any_office(folder: Path, tmp_path: Path, delimiter: str, mark: bytes) -> None:
    expected = build(str(folder), tmp_path / "F", SMALL).fingerprint
    lines = [("file_name", "caption"), *((row["file_name"], row["caption"]) for row in table(folder))]
    (folder / "metadata.jsonl").unlink()
    (folder / "metadata.csv").write_bytes(mark + "".join(delimiter.join(line) + "\r\n" for line in lines).encode())
    assert build(str(folder), tmp_path / "P", SMALL).fingerprint == expected


def test_a_csv_row_with_too_many_fields_is_told(folder: Path, tmp_path: Path) -> None:
    lines = ["file_name,caption", *(f"{row['file_name']},{row['caption']}" for row in table(folder))]
    lines[1] += ", on a mat"
    lines[2] = '01.png,"a cat, asleep"'
    (folder / "metadata.jsonl").unlink()
    (folder / "metadata.csv").write_text("\n".join(lines))
    probe = build(str(folder), tmp_path / "P", SMALL)
    assert reasons(probe) == {"00.png": "1 field more than the first line has; put text that holds a comma in quotes"}
    assert "a cat, asleep" in captions(probe)
    with pytest.raises(ProbeError, match="1 pictures cannot be used"):
        build(str(folder), tmp_path / "S", SMALL, strict=True)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b'{"file_name": "00.png", "caption": "caf\xe9"}\n', r"metadata\.jsonl, line 1: not UTF-8 .*save it as UTF-8"),
        (b"[" * 100_000, "line 1: not JSON"),
        (b'{"file_name": "00.png", "text": "a cat"}\n', r"no column 'caption', .*file_name, text; .*--caption-column"),
        (
            b'{"file_name": "train/00.png", "caption": "a cat"}',
            r"names 1 pictures and none .* train/00\.png; .* 00\.png, 01",
        ),
    ],
)
def test_a_table_that_cannot_be_used_is_one_line(folder: Path, tmp_path: Path, data: bytes, says: str) -> None:
    (folder / "metadata.jsonl").write_bytes(data)
    with pytest.raises(ProbeError, match=says) as error:
        build(str(folder), tmp_path / "P", SMALL)
    assert "\n" not in str(error.value)


def test_other_columns_by_option(folder: Path, tmp_path: Path) -> None:
    write(folder, [{"file_name": row["file_name"], "text": row["caption"]} for row in table(folder)])
    assert len(build(str(folder), tmp_path / "P", SMALL, columns=Columns(caption="text")).items) == 24
    (folder / "metadata.jsonl").unlink()
    (folder / "metadata.csv").write_text("picture,caption\n00.png,a cat\n")
    with pytest.raises(
        ProbeError, match=r"no column 'file_name', its first line is 'picture,caption'; .*--image-column"
    ):
        build(str(folder), tmp_path / "Q", SMALL)


def test_line_separators_inside_json(folder: Path, tmp_path: Path) -> None:
    rows = table(folder)
    rows[0]["caption"] = "a cat\u2028on a mat\x85\x0b"
    text = "\r\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
    (folder / "metadata.jsonl").write_bytes(text.encode())
    assert len(build(str(folder), tmp_path / "P", SMALL, strict=True).items) == 24


def test_a_csv_with_blank_lines_and_spaces_around_its_names(folder: Path, tmp_path: Path) -> None:
    expected = build(str(folder), tmp_path / "F", SMALL).fingerprint
    lines = ["", "", "file_name , caption ", "", *(f"{row['file_name']} , {row['caption']}" for row in table(folder))]
    (folder / "metadata.jsonl").unlink()
    (folder / "metadata.csv").write_text("\r\n".join(lines))
    assert build(str(folder), tmp_path / "P", SMALL).fingerprint == expected


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('file_name,caption\n00.png,"a cat\n01.png,"a dog\n', r"line 3: not CSV"),
        ("file_name,caption\n", r"metadata\.csv holds no rows"),
    ],
)
def test_a_csv_that_would_be_misread_is_one_line(folder: Path, tmp_path: Path, text: str, says: str) -> None:
    (folder / "metadata.jsonl").unlink()
    (folder / "metadata.csv").write_text(text)
    with pytest.raises(ProbeError, match=says):
        build(str(folder), tmp_path / "P", SMALL)
    assert not (tmp_path / "P").exists()


def test_names_in_messages_are_short_and_move_no_cursor(folder: Path, tmp_path: Path) -> None:
    rows = table(folder)
    write(folder, [{**rows[0], "file_name": "\x1b[2J\0.png"}, {**rows[1], "file_name": "x" * 5000}, *rows[2:]])
    told = [str(left) for left in build(str(folder), tmp_path / "P", SMALL).left_out]
    assert any(r"\x1b[2J\x00.png: no such file" in line for line in told), told
    assert max(map(len, told)) < 400
