"""Schemes that are added to a finished run: nothing is asked twice, and the result is that of one command."""

from __future__ import annotations

import json

import pandas as pd
import pytest

from bapa.errors import RunError
from bapa.inference.hf import ModelAsker
from bapa.inference.store import BIAS
from tests.measure.conftest import measured

THREE = ["native", "bapa", "bapa:distance=native"]


@pytest.fixture
def asked(monkeypatch):
    """The schemes of every block that is asked."""
    seen, ask = [], ModelAsker.ask

    def noted(self, number, prepared):
        seen.append(tuple(self.labels))
        return ask(self, number, prepared)

    monkeypatch.setattr(ModelAsker, "ask", noted)
    return seen


@pytest.fixture(scope="module")
def together(model_path, probe, tmp_path_factory):
    from bapa.checkpoints import load

    return measured(load(str(model_path)), probe, tmp_path_factory.mktemp("together"), THREE, audit=2)


@pytest.mark.parametrize("second", [THREE, THREE[2:]], ids=["all named again", "the new one alone"])
def test_a_scheme_is_added_as_if_it_had_been_there(tiny, probe, tmp_path, together, asked, second):
    out = tmp_path / "run"
    measured(tiny, probe, out, THREE[:2], audit=2)
    asked.clear()
    run = measured(tiny, probe, out, second, audit=2)
    assert set(asked) == {("bapa:distance=native",)}
    pd.testing.assert_frame_equal(run.answers(), together.answers(), atol=1e-6)
    assert json.loads((out / BIAS).read_text())["schemes"].keys() == together.bias["schemes"].keys()
    assert run.config["config"]["schemes"] == run.config["schemes"] == THREE
    assert run.config["answers"] == len(run.answers()) == together.config["answers"]
    assert run.config["audit"]["answers"] == together.config["audit"]["answers"]
    assert [entry["schemes"] for entry in run.config["added"]] == [["bapa:distance=native"]]
    assert "added" not in together.config


def test_what_is_there_is_not_asked_again(tiny, probe, together, asked):
    before = {path: path.stat().st_mtime_ns for path in together.path.iterdir()}
    assert measured(tiny, probe, together.path, ["bapa"], audit=2).bias == together.bias
    assert not asked
    assert {path: path.stat().st_mtime_ns for path in together.path.iterdir()} == before


def test_an_interrupted_run_is_finished_before_a_scheme_is_added(tiny, probe, tmp_path, together, monkeypatch):
    out, ask, seen = tmp_path / "run", ModelAsker.ask, []

    def stopping(self, number, prepared):
        seen.append(list(self.labels))
        if len(seen) == 2:
            raise KeyboardInterrupt
        return ask(self, number, prepared)

    monkeypatch.setattr(ModelAsker, "ask", stopping)
    with pytest.raises(KeyboardInterrupt):
        measured(tiny, probe, out, THREE[:2], audit=2)
    run = measured(tiny, probe, out, THREE, audit=2)
    assert seen == [THREE[:2]] * 3 + [THREE[2:]] * 2
    pd.testing.assert_frame_equal(run.answers(), together.answers(), atol=1e-6)


def test_an_added_scheme_that_is_interrupted_goes_on_and_leaves_the_run_readable(
    tiny, probe, tmp_path, together, monkeypatch
):
    out, ask, seen = tmp_path / "run", ModelAsker.ask, []
    first = measured(tiny, probe, out, THREE[:2], audit=2)

    def stopping(self, number, prepared):
        seen.append(number)
        if len(seen) == 2:
            raise KeyboardInterrupt
        return ask(self, number, prepared)

    monkeypatch.setattr(ModelAsker, "ask", stopping)
    with pytest.raises(KeyboardInterrupt):
        measured(tiny, probe, out, THREE, audit=2)
    assert measured(tiny, probe, out, THREE[:2], audit=2).bias == first.bias
    run = measured(tiny, probe, out, THREE, audit=2)
    pd.testing.assert_frame_equal(run.answers(), together.answers(), atol=1e-6)


def test_only_schemes_may_be_added(tiny, probe, together):
    with pytest.raises(RunError, match=r"run\.batch_size: 18 there, 4 now"):
        measured(tiny, probe, together.path, [*THREE, "null"], audit=2, batch_size=4)
