"""Schemes that are added to a finished run: nothing is asked twice, and the result is that of one command."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from bapa.checkpoints import load
from bapa.errors import RunError
from bapa.inference.hf import ModelAsker
from bapa.inference.store import BIAS, Store
from bapa.measure import load_run
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


@pytest.fixture
def stopping(monkeypatch):
    """From its call on, the second block that is asked is interrupted; number and schemes of every block are noted."""

    def start():
        seen, ask = [], ModelAsker.ask

        def stopped(self, number, prepared):
            seen.append((number, list(self.labels)))
            if len(seen) == 2:
                raise KeyboardInterrupt
            return ask(self, number, prepared)

        monkeypatch.setattr(ModelAsker, "ask", stopped)
        return seen

    return start


@pytest.fixture(scope="module")
def together(model_path, probe, tmp_path_factory):
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


def test_an_interrupted_run_is_finished_before_a_scheme_is_added(tiny, probe, tmp_path, together, stopping):
    out = tmp_path / "run"
    seen = stopping()
    with pytest.raises(KeyboardInterrupt):
        measured(tiny, probe, out, THREE[:2], audit=2)
    run = measured(tiny, probe, out, THREE, audit=2)
    assert [labels for _, labels in seen] == [THREE[:2]] * 3 + [THREE[2:]] * 2
    pd.testing.assert_frame_equal(run.answers(), together.answers(), atol=1e-6)


def test_an_added_scheme_that_is_interrupted_goes_on_and_leaves_the_run_readable(
    tiny, probe, tmp_path, together, stopping
):
    out = tmp_path / "run"
    first = measured(tiny, probe, out, THREE[:2], audit=2)
    stopping()
    with pytest.raises(KeyboardInterrupt):
        measured(tiny, probe, out, THREE, audit=2)
    assert measured(tiny, probe, out, THREE[:2], audit=2).bias == first.bias
    run = measured(tiny, probe, out, THREE, audit=2)
    pd.testing.assert_frame_equal(run.answers(), together.answers(), atol=1e-6)


def test_only_schemes_may_be_added(tiny, probe, together):
    with pytest.raises(RunError, match=r"run\.batch_size: 18 there, 4 now"):
        measured(tiny, probe, together.path, [*THREE, "null"], audit=2, batch_size=4)


class Killed(BaseException):
    """What ends a process at once."""


def removed(store):
    """What a process has done that is killed while it tidies up, where the config goes first."""
    (store.progress / "config.json").unlink()
    raise Killed


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("written", ["answers.parquet", "bias.json", "run.json", "tidying up"])
def test_killed_at_any_write_an_added_scheme_is_added_once(tiny, probe, tmp_path, together, monkeypatch, written, when):
    out, put = tmp_path / "run", Path.replace
    measured(tiny, probe, out, THREE[:1], audit=2)

    def dying(self, target):
        if Path(target) != out / written:
            return put(self, target)
        if when == "after":
            put(self, target)
        raise Killed

    with monkeypatch.context() as killing:
        killing.setattr(Path, "replace", dying)
        if written == "tidying up":
            killing.setattr(Store, "tidy", removed)
        with pytest.raises(Killed):
            measured(tiny, probe, out, THREE[:2], audit=2)
    run = measured(tiny, probe, out, THREE, audit=2)
    pd.testing.assert_frame_equal(run.answers(), together.answers(), atol=1e-6)
    assert run.config["config"]["schemes"] == run.config["schemes"] == list(run.bias["written"]) == THREE
    assert run.config["answers"] == len(run.answers())
    assert run.config["audit"]["answers"] == together.config["audit"]["answers"]
    assert sorted(path.name for path in out.iterdir()) == ["answers.parquet", "bias.json", "run.json"]


def test_what_was_half_added_does_not_stay_where_another_scheme_is_added(tiny, probe, tmp_path, together, monkeypatch):
    out, put = tmp_path / "run", Path.replace
    measured(tiny, probe, out, THREE[:2], audit=2)

    def dying(self, target):
        if Path(target).name == "run.json":
            raise Killed
        return put(self, target)

    with monkeypatch.context() as killing:
        killing.setattr(Path, "replace", dying)
        with pytest.raises(Killed):
            measured(tiny, probe, out, ["reverse"], audit=2)
    shutil.rmtree(out / "progress")
    run = measured(tiny, probe, out, THREE, audit=2)
    pd.testing.assert_frame_equal(run.answers(), together.answers(), atol=1e-6)
    assert list(run.bias["schemes"]) == list(run.bias["written"]) == THREE


@pytest.mark.parametrize(
    ("file", "damage", "message"),
    [
        ("run.json", b"{}", r"run\.json does not tell its config, command"),
        ("bias.json", b'{"version": 2}', r"bias\.json does not tell its level, model"),
        ("bias.json", b"[]", r"bias\.json is not a JSON object"),
        ("answers.parquet", b"PAR1", r"answers\.parquet cannot be read"),
    ],
)
def test_a_damaged_file_is_named_in_one_line(together, tmp_path, file, damage, message):
    out = tmp_path / "run"
    shutil.copytree(together.path, out)
    (out / file).write_bytes(damage)
    with pytest.raises(RunError, match=message) as error:
        load_run(out).answers()
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("damage", [bytes(4) + b"\n", b"\xff\n", b"{}\n", b"{\n"])
def test_a_damaged_line_of_an_interrupted_run_is_named_and_can_be_deleted(tiny, probe, tmp_path, stopping, damage):
    out = tmp_path / "run"
    seen = stopping()
    with pytest.raises(KeyboardInterrupt):
        measured(tiny, probe, out, ["native"])
    shard = out / "progress" / "answers-0.jsonl"
    whole = shard.read_bytes()
    shard.write_bytes(damage + whole)
    with pytest.raises(RunError, match=r"answers-0\.jsonl, line 1, is damaged; delete the line") as error:
        measured(tiny, probe, out, ["native"])
    assert "\n" not in str(error.value)
    subprocess.run(shlex.split(re.search(r"\((sed .*?)\)", str(error.value))[1]), check=True)
    assert shard.read_bytes() == whole
    measured(tiny, probe, out, ["native"])
    assert [number for number, _ in seen] == [0, 1, 1]


def test_a_run_does_not_go_on_in_another_prompt(model_path, probe, tmp_path):
    folder, out = tmp_path / "model", tmp_path / "run"
    shutil.copytree(model_path, folder)
    measured(load(str(folder)), probe, out, THREE[:1])
    template = folder / "chat_template.jinja"
    template.write_text("{{ 'in the image ' }}" + template.read_text())
    with pytest.raises(RunError, match=r"model\.processor\.chat_template\.jinja: \w+ there, \w+ now"):
        measured(load(str(folder)), probe, out, THREE[:2])


def test_a_run_that_does_not_tell_its_prompt_goes_on(tiny, probe, tmp_path):
    out = tmp_path / "run"
    measured(replace(tiny, files={}), probe, out, THREE[:1])
    run = measured(tiny, probe, out, THREE[:2])
    assert list(run.bias["schemes"]) == THREE[:2]
    assert "processor" not in run.config["config"]["model"]
