"""How a run fails, and what it refuses."""

from __future__ import annotations

import errno
from dataclasses import replace

import numpy as np
import pytest
import torch

from bapa import files
from bapa.errors import ConfigError, ModelError, ProbeError, RunError, SchemeError
from bapa.inference.backend import prompts_of
from bapa.inference.forward import Forward
from bapa.inference.hf import ModelAsker
from bapa.measure import load_run
from bapa.probe import Design, Probe, build
from bapa.stats import Settings
from tests.measure.conftest import measured


class Broken(Probe):
    """A probe one of whose tiles is damaged."""

    def compose(self, item, cell):
        if (item.item, cell) == (2, 4):
            raise ProbeError("tile 7 is damaged")
        return super().compose(item, cell)


def test_a_failure_is_a_row_with_its_reason(tiny, probe, tmp_path, run):
    found = measured(tiny, Broken.load(probe.path), tmp_path / "run", fail_on_error=6)
    answers = found.answers()
    failed = answers[answers["error"].notna()]
    assert len(failed) == 3 * 2
    assert set(failed["error"]) == {"ProbeError: tile 7 is damaged"}
    assert set(zip(failed["item"], failed["cell"], strict=True)) == {(2, 4)}
    assert failed[["answer", "correct", "margin"]].isna().all(axis=None)
    whole = run.answers()
    np.testing.assert_allclose(
        answers["margin"][answers["error"].isna()], whole["margin"][answers["error"].isna()], atol=1e-4
    )
    assert found.bias["schemes"]["native"]["cells"][4]["n"] == 3


def test_too_many_failures_stop_the_run_and_are_asked_again(tiny, probe, tmp_path):
    with pytest.raises(RunError, match=r"6 of 216 answers failed so far, 5 may.*item 2, cell 4.*tile 7 is damaged"):
        measured(tiny, Broken.load(probe.path), tmp_path / "run", fail_on_error=5)
    with pytest.raises(RunError, match="2 may"):
        measured(tiny, Broken.load(probe.path), tmp_path / "run", fail_on_error=0.01)
    with pytest.raises(RunError, match="not finished"):
        load_run(tmp_path / "run")
    assert measured(tiny, probe, tmp_path / "run").config["failed"] == 0


def test_a_batch_too_large_for_the_memory_is_halved(tiny, probe, tmp_path, run, monkeypatch):
    logits = Forward.logits

    def small(self, asked):
        if len(asked.prompts) > 5:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return logits(self, asked)

    monkeypatch.setattr(Forward, "logits", small)
    answers = measured(tiny, probe, tmp_path / "run").answers()
    assert answers["error"].isna().all()
    np.testing.assert_allclose(answers["margin"], run.answers()["margin"], atol=1e-4)


def test_logits_that_are_not_finite_are_failures(tiny, probe, tmp_path):
    with torch.no_grad():
        tiny.model.lm_head.weight.fill_(float("nan"))
    with pytest.raises(RunError, match="the logits are not finite"):
        measured(tiny, probe, tmp_path / "run")


def test_another_config_is_refused_with_the_difference(run, tiny, probe):
    with pytest.raises(RunError, match=r"run\.batch_size: 18 there, 4 now"):
        measured(tiny, probe, run.path, batch_size=4, audit=5)
    changed = replace(tiny, fingerprint="another")
    with pytest.raises(RunError, match=r"model.fingerprint: .* now"):
        measured(changed, probe, run.path, audit=5)


def test_a_finished_run_is_not_run_again(run, tiny, probe, monkeypatch):
    monkeypatch.setattr(Forward, "logits", lambda *_: pytest.fail("asked again"))
    before = {path: path.stat().st_mtime_ns for path in run.path.iterdir()}
    assert measured(tiny, probe, run.path, audit=5).bias == run.bias
    assert {path: path.stat().st_mtime_ns for path in run.path.iterdir()} == before


def test_a_folder_with_something_else_is_left_alone(tiny, probe, tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(RunError, match="not empty"):
        measured(tiny, probe, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_two_runs_do_not_write_to_one_folder(tiny, probe, tmp_path, monkeypatch):
    out = tmp_path / "run"

    def second(self, number, prepared):
        monkeypatch.undo()
        measured(tiny, probe, out)

    monkeypatch.setattr(ModelAsker, "ask", second)
    with pytest.raises(RunError, match="another process"):
        measured(tiny, probe, out)


def test_a_full_disk_is_one_line_and_loses_nothing(tiny, probe, tmp_path, run, monkeypatch):
    writes = []

    def full(handle):
        writes.append(handle)
        if len(writes) > 8:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(RunError, match="No space left on device; nothing finished is lost"):
        measured(tiny, probe, tmp_path / "run", batch_size=2)
    monkeypatch.undo()
    assert len(measured(tiny, probe, tmp_path / "run", batch_size=2).answers()) == len(run.answers())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"items": 0}, "the probe has 4"),
        ({"items": 5}, "the probe has 4"),
        ({"batch_size": 0}, "batch_size = 0"),
        ({"fail_on_error": 1.5}, "fail_on_error = 1.5"),
        ({"fail_on_error": -1}, "fail_on_error = -1"),
        ({"fail_on_error": float("nan")}, "fail_on_error = nan"),
        ({"generate": -1}, "generate = -1"),
        ({"audit": -1}, "audit = -1"),
        ({"schemes": []}, "at least one"),
        ({"schemes": ["bapa", "bapa:distance=1"]}, "each once"),
    ],
)
def test_options_out_of_range(tiny, probe, tmp_path, options, message):
    with pytest.raises(ConfigError, match=message):
        measured(tiny, probe, tmp_path / "run", **options)
    assert not (tmp_path / "run").exists()


def test_an_unknown_scheme_is_named_before_anything_is_written(tiny, probe, tmp_path):
    with pytest.raises(SchemeError, match="bapaa"):
        measured(tiny, probe, tmp_path / "run", ["native", "bapaa"])
    assert not (tmp_path / "run").exists()


def test_a_folder_in_the_probe_is_refused(tiny, probe):
    with pytest.raises(ConfigError, match=r"lies in the probe .*--out FOLDER"):
        measured(tiny, probe, probe.path / "run")
    assert not (probe.path / "run").exists()


def test_a_seed_that_cannot_be_is_refused_before_anything_is_asked(tiny, probe, tmp_path, monkeypatch):
    monkeypatch.setattr(ModelAsker, "ask", lambda *_: pytest.fail("asked"))
    with pytest.raises(ConfigError, match=r"seed = -1: use 0 or more"):
        measured(tiny, probe, tmp_path / "run", statistics=Settings(seed=-1))


def test_another_seed_makes_no_other_run(tiny, probe, tmp_path, monkeypatch):
    """No statistic of a run draws by it, nor by the number of draws."""
    first = measured(tiny, probe, tmp_path / "run", ["native"], statistics=Settings(seed=0))
    monkeypatch.setattr(ModelAsker, "ask", lambda *_: pytest.fail("asked"))
    again = measured(tiny, probe, tmp_path / "run", ["native"], statistics=Settings(seed=5, resamples=20))
    assert again.bias == first.bias
    with pytest.raises(RunError, match=r"statistics\.level"):
        measured(tiny, probe, tmp_path / "run", ["native"], statistics=Settings(level=0.9))


def test_a_prompt_longer_than_the_model_is_refused(tiny, probe, tmp_path):
    tiny.model.config.text_config.max_position_embeddings = 60
    says = r"has 1\d\d tokens, and .* was made for 60 positions; .* shorter captions, or smaller cells .* --cell 12\)"
    with pytest.raises(ConfigError, match=says):
        measured(tiny, probe, tmp_path / "run")
    tiny.model.config.text_config.max_position_embeddings = 2048
    assert measured(tiny, probe, tmp_path / "run").config["prompts"]["longest"] == 100


def test_a_batch_too_large_for_the_memory_is_told_once_and_not_tried_again(
    tiny, probe, tmp_path, run, monkeypatch, capfd
):
    sizes, logits = [], Forward.logits

    def small(self, asked):
        sizes.append(len(asked.prompts))
        if len(asked.prompts) > 5:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return logits(self, asked)

    monkeypatch.setattr(ModelAsker, "sharing_holds", lambda self: True)
    monkeypatch.setattr(Forward, "logits", small)
    found = measured(tiny, probe, tmp_path / "run")
    assert [size for size in sizes if size > 5] == [18, 9], "the second block is cut beforehand"
    told = capfd.readouterr().err
    assert "out of memory with 18 canvases at once; going on with 9" in told
    assert "out of memory with 9 canvases at once; going on with 4" in told
    assert found.config["at_once"] == 4
    assert "at_once" not in run.config
    np.testing.assert_allclose(found.answers()["margin"], run.answers()["margin"], atol=1e-4)


def test_another_name_of_the_same_model_goes_on(tiny, probe, run):
    assert measured(replace(tiny, name=f"{tiny.name}/"), probe, run.path, audit=5).bias == run.bias


def test_another_probe_is_refused(tiny, probe, run, tmp_path):
    other = build("digits", tmp_path / "other", Design(items=4, seed=9))
    with pytest.raises(RunError, match=r"holds another run \(probe\.fingerprint: \w{12} there, \w{12} now\)"):
        measured(tiny, other, run.path, audit=5)


@pytest.mark.parametrize("mark", ["<image>", "</s>"])
def test_a_mark_of_the_model_s_own_among_the_words_is_one_line(tiny, probe, mark):
    """A probe of an older version, a question typed into the explorer: whatever was not refused before."""
    with pytest.raises(ModelError, match=rf"contains {mark}, which is no word but a token of .*another --prompt"):
        prompts_of(tiny, probe)(f"is there an {mark} ?")
