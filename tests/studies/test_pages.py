"""Every page of a study says what the study's record says, and `make studies` is what the pages name."""

from __future__ import annotations

import copy
import importlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from studies.study import ROOT, Study, filled, missing, slug, table

OWN = {"pretrained"}  # has its own command, make target and guard: tests/test_pretrained.py
NAMES = sorted({path.parent.name for path in (ROOT / "studies").glob("*/record.json")} - OWN)
SHOWN = "python -m studies.reference data "  # what a study does for itself, told as commands


def study(name: str) -> Study:
    return importlib.import_module(f"studies.{name}.page").STUDY


def numbers(found: Any) -> Iterator[tuple[Any, Any]]:
    """Where numbers stand in a record: their holder and their key there."""
    for key, value in found.items() if isinstance(found, dict) else enumerate(found):
        if isinstance(value, dict | list):
            yield from numbers(value)
        elif isinstance(value, int | float) and not isinstance(value, bool):
            yield found, key


@pytest.mark.parametrize("name", NAMES)
def test_pages_are_what_the_record_says(name: str) -> None:
    for page, text in study(name).filled(study(name).record()).items():
        assert text == page.read_text("utf-8"), f"run: python -m studies.{name} write"


@pytest.mark.parametrize("name", NAMES)
def test_a_changed_figure_is_seen(name: str) -> None:
    record = study(name).record()
    before, seen = study(name).filled(record), 0
    for place in range(0, len([*numbers(record)]), 97):
        changed = copy.deepcopy(record)
        holder, key = [*numbers(changed)][place]
        holder[key] += 1
        seen += study(name).filled(changed) != before
    assert seen


def test_every_study_has_a_page_and_a_record() -> None:
    pages = {path.parent.name for path in (ROOT / "studies").glob("*/page.py")} - {
        "pages",
        *OWN,
    }  # those say what code says
    assert pages == {*NAMES}
    assert {"calibration", "families", "figures", "origin", "side_effects", "tuning"} <= pages


def commands(text: str) -> set[str]:
    """Lines that run a study."""
    return {
        line
        for line in text.splitlines()
        if "python -m studies." in line and not line.startswith(SHOWN) and "pretrained" not in line
    }


def test_make_studies_runs_the_commands_of_the_pages() -> None:
    pages = [path.read_text("utf-8") for path in (ROOT / "docs").rglob("*.md")]
    blocks = [block for text in pages for block in re.findall(r"```sh\n(.*?)```", text, re.DOTALL)]
    named = set().union(*map(commands, blocks))
    assert commands((ROOT / "studies" / "all.sh").read_text("utf-8")) == named
    assert len(named) > 8
    assert "studies/all.sh" in (ROOT / "Makefile").read_text("utf-8")


def test_the_commands_of_the_pages_are_commands() -> None:
    for line in commands((ROOT / "studies" / "all.sh").read_text("utf-8")):
        for name, verb in re.findall(r"python -m studies\.(\w+) (\w+)", line):
            app = importlib.import_module(f"studies.{name}.__main__")
            made = app.app if hasattr(app, "app") else app.commands(app.STUDY, app.run)
            assert verb in {command.name or command.callback.__name__ for command in made.registered_commands}, line


def test_marks_that_are_not_there_are_an_error() -> None:
    with pytest.raises(ValueError, match=r"page\.md must hold the two marks of 'told' once"):
        filled("<!-- other: x -->\n<!-- end of other -->", "page.md", {"told": "text"})
    assert filled("a\n<!-- told: x -->\nold\n<!-- end of told -->\nb", "page.md", {"told": "new"}) == (
        "a\n<!-- told: x -->\n\nnew\n\n<!-- end of told -->\nb"
    )


def test_a_record_is_kept_and_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("studies.study.ROOT", tmp_path)
    (tmp_path / "studies" / "one").mkdir(parents=True)
    (tmp_path / "page.md").write_text("<!-- told: x -->\n<!-- end of told -->\n")
    mine = Study("one", lambda record: {"page.md": {"told": record["text"]}})
    assert mine.record() == {}
    mine.keep({"text": "−1 %"})
    mine.write()
    assert "−1 %" in (tmp_path / "page.md").read_text("utf-8")


def test_words_of_pages() -> None:
    assert slug("reference:bottom") == "bottom-1"
    assert slug("build/reference/top-2") == "top-2"
    assert table(["a", "b"], [["1", "2"]]) == "| a | b |\n|---|---|\n| 1 | 2 |"
    assert table(["a"], []) == ""
    assert missing(["a", "b"], ["a"]).strip() == "Not measured yet: b."
    assert missing(["a"], ["a"]) == ""
