"""The walks of CONTRIBUTING.md and docs/scheme.md, done as written."""

from __future__ import annotations

import os
import re
import runpy
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bapa.errors import SchemeError
from bapa.layout import Grid
from bapa.schemes import SCHEMES, make, parse, profile, register, table

ROOT = Path(__file__).parents[1]
EXAMPLE = ROOT / "docs" / "examples" / "rows.py"


@pytest.fixture
def rows() -> Iterator[type]:
    """The example scheme, known by its name while a test runs."""
    kind = runpy.run_path(str(EXAMPLE))["Rows"]
    yield kind
    del SCHEMES["rows"]


def test_the_example_is_a_scheme_in_twenty_lines() -> None:
    lines = [line for line in EXAMPLE.read_text("utf-8").splitlines() if line.strip()]
    assert len(lines) <= 20


def test_the_page_shows_the_example() -> None:
    page = (ROOT / "docs" / "scheme.md").read_text("utf-8")
    assert f"```python\n{EXAMPLE.read_text('utf-8')}```" in page


def test_the_example_places_rows(rows: type) -> None:
    scheme = parse("rows:scope=tile")
    assert isinstance(scheme, rows)
    assert scheme.offsets(Grid(3, 4)).tolist() == [[0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2]]
    assert profile(make("rows"), Grid(24, 24)).mean == pytest.approx(12.5)
    assert [row.summary for row in table() if row.name == "rows"] == [
        "Patch (r, c) at b + r; the text resumes at b + H."
    ]


def test_the_example_runs_in_a_model(rows: type) -> None:
    import bapa
    from tests.tiny import FAMILIES

    family = FAMILIES["llava"]
    model = family.build()
    inputs = family.inputs([["t2", "image", "t3"]])
    bapa.balance(model, "rows")
    shown = bapa.positions(model, **inputs)[0, 0].tolist()
    start = shown[0]
    assert [position - start for position in shown] == [0, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4, 5, 6, 7]


def test_a_name_cannot_be_taken_twice(rows: type) -> None:
    assert register(rows) is rows
    with pytest.raises(SchemeError, match="'bapa' is taken by Bapa"):
        register(type("Other", (rows,), {"name": "bapa"}))


def test_a_scheme_touches_one_file_and_one_entry(tmp_path: Path) -> None:
    """Steps 1 and 2, done to a copy of the package's schemes."""
    for part in ("__init__.py", "errors.py", "layout.py", "schemes"):
        copy = shutil.copytree if (ROOT / "bapa" / part).is_dir() else shutil.copy
        (tmp_path / "bapa").mkdir(exist_ok=True)
        copy(ROOT / "bapa" / part, tmp_path / "bapa" / part)
    example = EXAMPLE.read_text("utf-8").replace("@register\n", "").replace("from bapa.schemes import register\n", "")
    (tmp_path / "bapa" / "schemes" / "rows.py").write_text(example, "utf-8")
    ask = [sys.executable, "-c", "from bapa.schemes import parse; print(parse('rows:scope=tile'))"]
    place = {"cwd": tmp_path, "env": {**os.environ, "PYTHONPATH": str(tmp_path)}}
    unlisted = subprocess.run(ask, capture_output=True, text=True, check=False, **place)
    assert "unknown scheme 'rows'" in unlisted.stderr
    registry = tmp_path / "bapa" / "schemes" / "registry.py"
    text = registry.read_text("utf-8")
    registry.write_text(text.replace('"null"', '"null", "rows"', 1), "utf-8")
    listed = subprocess.run(ask, capture_output=True, text=True, check=True, **place)
    assert listed.stdout.strip() == "rows:scope=tile"


def test_the_attention_effect_shown_is_the_one_that_runs() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    shown = re.search(r"```python\n(@register.+?)```", text, re.DOTALL)
    assert shown
    assert (ROOT / "tests" / "outside" / "farther.py").read_text("utf-8").endswith(shown[1])


def test_what_contributing_names_is_there() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    for path in re.findall(r"`((?:bapa|tests|docs)/[\w/.]+)`", text.replace("NAME", "bapa")):
        assert (ROOT / path).exists(), path
    for path in re.findall(r"\]\(([^)]+)\)", text):
        assert (ROOT / path).exists(), path
    registry = (ROOT / "bapa" / "schemes" / "registry.py").read_text("utf-8")
    assert all(name in registry for name in re.findall(r"`(_[A-Z_]+)`", text))
    families = (ROOT / "bapa" / "families" / "facts.py").read_text("utf-8")
    assert "JOINED" in families
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    assert set(re.findall(r"make ([a-z-]+)\b", text)) <= set(targets)


def test_a_family_as_contributing_tells(monkeypatch: pytest.MonkeyPatch) -> None:
    """A family written down anew, under another name, passes the matrix without any code of its own."""
    from dataclasses import replace

    from tests.attach.test_matrix import CHECKS
    from tests.tiny import FAMILIES

    newcomer = replace(FAMILIES["llava"], name="newcomer")
    for check in CHECKS[:4]:
        check(newcomer, "sdpa")
