"""The folder of a tuning run: nothing finished is lost, nothing half-written is trusted."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock
from safetensors import SafetensorError
from transformers import Trainer

from bapa.checkpoints import load
from bapa.errors import ConfigError, RunError, SchemeError
from bapa.probe import Design, Probe, build
from bapa.tune import Settings, tune
from bapa.tune.evaluate import Evaluation, Marker
from tests.tune.processors import saved
from tests.tune.test_train import DATA

SETTINGS = Settings(rate=5e-3, batch=4, save_every=2)


class Killed(Exception):
    """Stands for a killed process."""


def losses(folder: Path) -> list[float]:
    return [entry["loss"] for entry in json.loads((folder / "tune.json").read_text())["loss"]]


@pytest.fixture
def base(tmp_path: Path) -> str:
    saved("llava", tmp_path / "base")
    return str(tmp_path / "base")


@pytest.fixture
def probe(tmp_path: Path) -> Probe:
    return build("digits", tmp_path / "probe", Design(items=10, prompts=("Is there {caption} in the image ?",)))


def cut_off(base: str, out: Path, monkeypatch: pytest.MonkeyPatch, **more: Any) -> None:
    """A run killed while the checkpoint of step 4 was written: it lacks what is written last."""

    def die(self: Marker, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if state.global_step == 4:
            (Path(args.output_dir) / "checkpoint-4" / "trainer_state.json").unlink()
            raise Killed
        mark(self, args, state, control, **kwargs)

    mark = Marker.on_save
    monkeypatch.setattr(Marker, "on_save", die)
    with pytest.raises(Killed):
        tune(load(base), DATA, out, settings=SETTINGS, **more)
    monkeypatch.setattr(Marker, "on_save", mark)


def test_a_checkpoint_cut_off_is_not_trusted(base: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = tune(load(base), DATA, tmp_path / "whole", settings=SETTINGS)
    cut_off(base, tmp_path / "cut", monkeypatch)
    assert (tmp_path / "cut" / "checkpoints" / "checkpoint-4").is_dir()
    again = tune(load(base), DATA, tmp_path / "cut", settings=SETTINGS)
    assert losses(again) == losses(whole)
    assert load(str(again)).fingerprint == load(str(whole)).fingerprint


def test_an_evaluated_step_is_trained_again_after_an_interruption(
    base: str, probe: Probe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Step 3 is evaluated, step 2 is the last checkpoint: what comes out of step 3 now may differ in a digit."""
    watched: dict[str, Any] = {"probe": probe, "evaluate_every": 3, "evaluate_items": 2}
    cut_off(base, tmp_path / "cut", monkeypatch, **watched)
    for step in ("step-0", "step-3"):
        path = tmp_path / "cut" / "evaluations" / step / "run.json"
        record = json.loads(path.read_text())
        record["config"]["model"]["fingerprint"] = "0" * 64
        path.write_text(json.dumps(record))
    out = tune(load(base), DATA, tmp_path / "cut", settings=SETTINGS, **watched)
    record = json.loads((out / "tune.json").read_text())
    assert [entry["step"] for entry in record["evaluations"]] == [0, 3, 6]


def killed_after(step: int, base: str, out: Path, monkeypatch: pytest.MonkeyPatch, **more: Any) -> None:
    """A run killed behind ``step`` was evaluated."""

    def die(self: Evaluation, now: int) -> None:
        measured(self, now)
        if now == step:
            raise Killed

    measured = Evaluation._measure
    monkeypatch.setattr(Evaluation, "_measure", die)
    with pytest.raises(Killed):
        tune(load(base), DATA, out, **more)
    monkeypatch.setattr(Evaluation, "_measure", measured)


@pytest.mark.parametrize("theirs", ["checkpoints/checkpoint-500/model.safetensors", "evaluations/step-0/scores.csv"])
def test_what_somebody_else_calls_by_these_names_is_left_alone(theirs: str, base: str, tmp_path: Path) -> None:
    file = tmp_path / "out" / theirs
    file.parent.mkdir(parents=True)
    file.write_text("weeks of training")
    with pytest.raises(RunError, match="is not empty and holds no tuning run"):
        tune(load(base), DATA, tmp_path / "out", settings=SETTINGS)
    assert [path for path in (tmp_path / "out").rglob("*") if path.is_file()] == [file]


def test_what_a_dead_run_of_other_settings_evaluated_is_none_of_this_one(
    base: str, probe: Probe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched: dict[str, Any] = {"probe": probe, "evaluate_items": 2}
    first, second = (Settings(rate=rate, batch=4, save_every=0, steps=4) for rate in (5e-3, 1e-3))
    killed_after(3, base, tmp_path / "out", monkeypatch, settings=first, evaluate_every=1, **watched)
    before = (tmp_path / "out" / "evaluations" / "step-2" / "run.json").read_bytes()
    out = tune(load(base), DATA, tmp_path / "out", settings=second, evaluate_every=2, **watched)
    record = json.loads((out / "tune.json").read_text())
    assert [entry["step"] for entry in record["evaluations"]] == [0, 2, 4]
    assert {path.name for path in (out / "evaluations").iterdir()} == {"step-0", "step-2", "step-4"}
    assert (out / "evaluations" / "step-2" / "run.json").read_bytes() != before


def test_what_a_longer_training_evaluated_is_not_told(
    base: str, probe: Probe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More processes take fewer steps: a training of fewer that was killed leaves steps that are none of these."""
    watched: dict[str, Any] = {"probe": probe, "evaluate_items": 2, "settings": Settings(batch=4, save_every=0)}
    killed_after(0, base, tmp_path / "out", monkeypatch, **watched)
    evaluations = tmp_path / "out" / "evaluations"
    shutil.copytree(evaluations / "step-0", evaluations / "step-12")
    shutil.copytree(evaluations / "step-0", evaluations / "step-5")
    out = tune(load(base), DATA, tmp_path / "out", **watched)
    record = json.loads((out / "tune.json").read_text())
    assert [entry["step"] for entry in record["evaluations"]] == [0, 6]


@pytest.mark.parametrize("step", [0, 3])
def test_killed_before_the_first_checkpoint_it_goes_on(
    step: int, base: str, probe: Probe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(rate=5e-3, batch=4, save_every=5)
    watched: dict[str, Any] = {"probe": probe, "evaluate_every": 3, "evaluate_items": 2, "settings": settings}
    whole = tune(load(base), DATA, tmp_path / "whole", **watched)
    killed_after(step, base, tmp_path / "cut", monkeypatch, **watched)
    with monkeypatch.context() as patch:  # what it needs is not there for once: nothing of the run is given up
        patch.setattr("bapa.tune.train._spread", refuse)
        with pytest.raises(ConfigError):
            tune(load(base), DATA, tmp_path / "cut", **watched)
    again = tune(load(base), DATA, tmp_path / "cut", **watched)
    assert losses(again) == losses(whole)
    assert load(str(again)).fingerprint == load(str(whole)).fingerprint


def refuse(*given: Any) -> None:
    raise ConfigError("not here")


@pytest.mark.parametrize(
    ("wrong", "error", "says"),
    [
        ({"also": ["bappa"]}, SchemeError, "bappa"),
        ({"evaluate_items": 11}, ConfigError, "items = 11: the probe has 10"),
        ({"also": ["mrope"]}, SchemeError, "mrope"),
        ({"probe": None, "evaluate_every": 5}, ConfigError, "name it: --probe PROBE"),
        ({"probe": None, "also": ["native"]}, ConfigError, "name it: --probe PROBE"),
        ({"settings": Settings(options={"report_to": "wandb"})}, ConfigError, "wandb.*or leave the option out"),
        ({"settings": Settings(options={"optim": "adamw_8bit"})}, ConfigError, "bitsandbytes.*or leave the option out"),
    ],
)
def test_a_wrong_option_is_told_before_anything_is_written(
    wrong: dict[str, Any], error: type[Exception], says: str, base: str, probe: Probe, tmp_path: Path
) -> None:
    with pytest.raises(error, match=says) as told:
        tune(load(base), DATA, tmp_path / "out", **{"probe": probe, "settings": SETTINGS, **wrong})
    assert "\n" not in str(told.value)
    assert not (tmp_path / "out").exists()


def test_two_processes_do_not_train_into_one_folder(base: str, tmp_path: Path) -> None:
    (tmp_path / "out" / "progress").mkdir(parents=True)
    with (
        FileLock(tmp_path / "out" / "progress" / "lock"),
        pytest.raises(RunError, match=r"another process writes to .*out; wait for it"),
    ):
        tune(load(base), DATA, tmp_path / "out", settings=SETTINGS)
    tune(load(base), DATA, tmp_path / "out", settings=Settings(steps=1, save_every=0))


def closed_after_a_failed_write() -> RuntimeError:
    """What torch.save raises on a full disk: the error of closing the file, which hides the one of writing it."""
    hidden = RuntimeError("[enforce fail at inline_container.cc:659] PytorchStreamWriter failed writing file data/7")
    error = RuntimeError("unexpected pos 462592 vs 462484")
    error.__context__ = hidden
    return error


@pytest.mark.parametrize(
    "full",
    [
        closed_after_a_failed_write(),
        OSError(28, "No space left on device"),
        SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)"),
        RuntimeError("[enforce fail at inline_container.cc:672] PytorchStreamWriter failed writing file data/1"),
    ],
)
def test_a_full_disk_is_one_line_and_the_run_goes_on_when_there_is_room(
    full: Exception, base: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = tune(load(base), DATA, tmp_path / "whole", settings=SETTINGS)

    def save(self: Trainer, *args: Any, **kwargs: Any) -> None:
        if self.state.global_step == 4:
            (Path(self.args.output_dir) / "checkpoint-4").mkdir()
            (Path(self.args.output_dir) / "checkpoint-4" / "adapter_model.safetensors").write_bytes(b"half")
            raise full
        kept(self, *args, **kwargs)

    kept = Trainer._save_checkpoint
    monkeypatch.setattr(Trainer, "_save_checkpoint", save)
    says = r"cannot write .*(No space left|PytorchStreamWriter|unexpected pos).*nothing finished is lost"
    with pytest.raises(RunError, match=says):
        tune(load(base), DATA, tmp_path / "out", settings=SETTINGS)
    monkeypatch.setattr(Trainer, "_save_checkpoint", kept)
    assert losses(tune(load(base), DATA, tmp_path / "out", settings=SETTINGS)) == losses(whole)


def test_killed_while_the_result_is_put_in_its_place(
    base: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(steps=1, batch=4, save_every=0)

    def replace(self: Path, target: Path) -> Path:
        if target == tmp_path / "out" / "adapter_model.safetensors":
            raise Killed
        return kept(self, target)

    kept = Path.replace
    monkeypatch.setattr(Path, "replace", replace)
    with pytest.raises(Killed):
        tune(load(base), DATA, tmp_path / "out", settings=settings)
    monkeypatch.setattr(Path, "replace", kept)
    with pytest.raises(RunError, match="holds another tuning run"):  # the files of two results would mix
        tune(load(base), DATA, tmp_path / "out", settings=Settings(steps=1, batch=4, save_every=0, full=True))
    out = tune(load(base), DATA, tmp_path / "out", settings=settings)
    assert (
        load(str(out)).fingerprint
        == load(str(tune(load(base), DATA, tmp_path / "other", settings=settings))).fingerprint
    )
    assert not {"progress", "checkpoints"} & {path.name for path in out.iterdir()}
