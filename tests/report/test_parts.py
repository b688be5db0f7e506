"""Parts of other commands: escaped, light and dark, shown only where a run has them."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import pytest
from matplotlib.figure import Figure

from bapa.measure import Run
from bapa.report import parts
from bapa.report.page import render, section
from tests.report.fakes import SKEWED, fake_bias

EVIL = "<b onclick=x>&'\""


def test_parts_come_from_the_modules_that_find_something(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name, found in (("found", parts.Part("Found", [])), ("nothing", None)):
        module = ModuleType(name)
        module.part = lambda run, found=found: found if run.path == tmp_path else None  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setattr(parts, "PARTS", ("nothing", "found"))
    assert [part.title for part in parts.parts(Run(tmp_path, {}, {}))] == ["Found"]
    assert list(parts.parts(Run(tmp_path / "other", {}, {}))) == []


def test_named_modules_exist() -> None:
    from importlib import import_module

    assert all(callable(import_module(name).part) for name in parts.PARTS)


def test_what_a_part_says_is_escaped_and_its_markup_is_not() -> None:
    body = [EVIL, parts.table(EVIL, [EVIL, "b"], [(EVIL, EVIL)])]
    html = render([section("m", fake_bias({"native": SKEWED}), {}, [], [], parts=[parts.Part(EVIL, body)])], "")
    assert "<b onclick" not in html
    assert html.count("&lt;b onclick=x&gt;&amp;&#39;&#34;") == 7
    assert html.count("<table><caption>") == 1


def test_a_picture_is_there_for_light_and_for_dark() -> None:
    drawn: list[bool] = []

    def draw(dark: bool) -> Figure:
        drawn.append(dark)
        return Figure(facecolor="black" if dark else "white")

    html = parts.picture(draw, EVIL)
    assert sorted(drawn) == [False, True]
    assert html.count("data:image/svg+xml;base64,") == 2
    assert "<b onclick" not in html


def test_what_made_a_part_stands_among_the_commands() -> None:
    one = parts.Part("One", [], ["bapa origin m"])
    html = render([section("m", fake_bias({"native": SKEWED}), {}, ["bapa measure m"], [], parts=[one])], "bapa report")
    assert "bapa measure m\nbapa origin m\nbapa report</code>" in html
