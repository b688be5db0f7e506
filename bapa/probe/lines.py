"""Reading the tables that people write beside their pictures: JSON lines, JSON and CSV, as editors save them."""

from __future__ import annotations

import codecs
import csv
import io
import json
from pathlib import Path
from typing import Any

from bapa.errors import ProbeError

EXAMPLE = '{"file_name": "a.jpg", "caption": "a cat"}'
_MARKS = (  # what a file begins with, and the encoding that this tells; the longer ones first
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_DELIMITERS = ",;\t|"


def read_text(path: Path) -> str:
    """The text of a file in UTF-8, or in what its byte order mark tells.

    Raises:
        ProbeError: it cannot be read.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ProbeError(f"cannot read {path}: {error.strerror or error}") from None
    encoding = next((name for sign, name in _MARKS if data.startswith(sign)), "utf-8")
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise ProbeError(f"{path}, line {line}: not {encoding.upper()} ({error.reason}); save it as UTF-8") from None


def read_jsonl(path: Path, example: str = EXAMPLE) -> list[tuple[int, dict[str, Any]]]:
    """The objects of a file of JSON lines, each with the number of its line.

    Raises:
        ProbeError: a line holds none.
    """
    rows = []
    # JSON lines end in a line feed; str.splitlines would also cut texts at U+2028 and its like.
    for number, line in enumerate(read_text(path).split("\n"), 1):
        if line.strip():
            try:
                row = json.loads(line)
            except (ValueError, RecursionError) as error:
                raise ProbeError(f"{path}, line {number}: not JSON ({error})") from None
            if not isinstance(row, dict):
                raise ProbeError(f"{path}, line {number}: expected an object such as {example}")
            rows.append((number, row))
    return rows


def read_csv(path: Path, column: str) -> list[dict[str | None, Any]]:
    """The rows of a CSV file, whose ``column`` tells what its fields are parted by; a row with more fields than the
    header has the surplus under None.

    Raises:
        ProbeError: it is no such file, or two of its columns have one name.
    """
    text = read_text(path).lstrip("\r\n")
    header = text.partition("\n")[0]
    for delimiter in _DELIMITERS:
        # strict: a quote that is never closed would make one caption of all that follows
        reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True, strict=True)
        try:
            names = [name.strip() for name in reader.fieldnames or ()]
            if column in names:
                reader.fieldnames = names
                if len({*names}) < len(names):
                    raise ProbeError(f"{path} has two columns of one name: {', '.join(names)}")
                return list(reader)
        except csv.Error as error:
            raise ProbeError(f"{path}, line {reader.reader.line_num}: not CSV ({error})") from None
    raise ProbeError(
        f"{path} has no column {column!r}, its first line is {header.strip()!r}; name the right one: "
        "--image-column NAME"
    )
