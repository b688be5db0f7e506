"""Several processes train as one does, sharded or not, and a killed run goes on where it was; over gloo, on CPUs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from accelerate.commands.config.config_args import load_config_from_file
from safetensors.torch import load_file

import bapa
from bapa.checkpoints import load
from studies.reference import dataset

ROOT = Path(__file__).parents[2]
CONFIGS = ROOT / "bapa" / "tune" / "configs"
STEPS = 6
# Two processes against one with twice the accumulation: sums in another order, six steps long.
LOSS = 1e-4  # of each step, relative; measured: 1e-6
WEIGHTS = 1e-2  # of what was learned, relative (Frobenius); measured: 3e-5
ACCELERATE = ("accelerate.commands.launch", "--num_processes", "2", "--main_process_port", "0", "--config_file")
LAUNCH = {
    "one": ("tests.tune.launched",),
    "torchrun": ("torch.distributed.run", "--standalone", "--nproc_per_node", "2", "-m", "bapa"),
    "fsdp": (*ACCELERATE, str(CONFIGS / "fsdp.yaml"), "-m", "tests.tune.launched"),
    "deepspeed": (*ACCELERATE, str(CONFIGS / "deepspeed.yaml"), "-m", "bapa"),
}
NO_DEEPSPEED = pytest.mark.skipif(
    find_spec("deepspeed") is None, reason="needs DeepSpeed; make test-tune sets it up in an environment of its own"
)
SEVERAL = ["torchrun", "fsdp", pytest.param("deepspeed", marks=NO_DEEPSPEED)]


@pytest.mark.parametrize(("name", "kind"), [("fsdp", "FSDP"), ("deepspeed", "DEEPSPEED")])
def test_accelerate_reads_the_configurations(name: str, kind: str) -> None:
    config = load_config_from_file(str(CONFIGS / f"{name}.yaml"))
    assert config.distributed_type == kind
    assert config.num_processes == 2


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("processes")
    dataset.write(folder / "data", skew="center", rows=8 * STEPS, seed=1)
    return folder


def start(home: Path, out: str, launch: str, *options: str, kill_at: int | None = None) -> tuple[int, str]:
    """Exit status and stderr of ``bapa tune reference:center``: rows in fours, two fours a step."""
    command = [sys.executable, "-m", *LAUNCH[launch], "tune", "reference:center", "--data", str(home / "data")]
    command += ["--out", str(home / out), "--rate", "3e-3", "--batch", "4", "--steps", str(STEPS), *options]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1"}
    environment |= {"DS_ACCELERATOR": "cpu"} | ({} if kill_at is None else {"KILL_AT": str(kill_at)})
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=900)
    return done.returncode, done.stderr


def curve(home: Path, out: str, launch: str, *options: str) -> list[float]:
    """The loss curve of a run, made unless it is there."""
    if not (home / out / "tune.json").is_file():
        status, said = start(home, out, launch, *options)
        assert status == 0, said[-3000:]
        (home / f"{out}.log").write_text(said)
    return [entry["loss"] for entry in json.loads((home / out / "tune.json").read_text())["loss"]]


def one(home: Path) -> list[float]:
    return curve(home, "one", "one", "--accumulate", "2", "--save-every", "0")


def apart(some: list[float], others: list[float]) -> float:
    return max(abs(a - b) / a for a, b in zip(some, others, strict=True))


def weights(folder: Path, name: str = "adapter_model") -> dict[str, torch.Tensor]:
    return load_file(folder / f"{name}.safetensors")


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("launch", SEVERAL)
def test_two_processes_train_like_one_with_twice_the_accumulation(home: Path, launch: str) -> None:
    alone, shared = one(home), curve(home, launch, launch, "--save-every", "0")
    assert len(alone) == len(shared) == STEPS
    assert apart(alone, shared) < LOSS
    record = json.loads((home / launch / "tune.json").read_text())
    assert record["processes"] == 2
    assert record["distributed"] == {"torchrun": "MULTI_CPU"}.get(launch, launch.upper())
    learned, found = weights(home / "one"), weights(home / launch)
    assert learned.keys() == found.keys()
    difference = sum(float((learned[name] - found[name]).square().sum()) for name in learned) ** 0.5
    assert difference < WEIGHTS * sum(float(learned[k].square().sum()) for k in learned if "lora_B" in k) ** 0.5
    assert bapa.scheme_of(load(str(home / launch)).model).label == "bapa"
    if launch == "fsdp":
        assert "sharded: LlamaDecoderLayer" in (home / "fsdp.log").read_text()


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_comparison_can_fail(home: Path) -> None:
    assert apart(one(home), curve(home, "other", "one", "--save-every", "0")) > 10 * LOSS, "half the accumulation"


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("launch", ["torchrun", pytest.param("deepspeed", marks=NO_DEEPSPEED)])
def test_all_weights_are_tuned_and_gathered(home: Path, launch: str) -> None:
    alone = curve(home, "one-full", "one", "--accumulate", "2", "--save-every", "0", "--full")
    assert apart(alone, curve(home, f"{launch}-full", launch, "--save-every", "0", "--full")) < 10 * LOSS
    assert weights(home / f"{launch}-full", "model").keys() == weights(home / "one-full", "model").keys()
    assert load(str(home / f"{launch}-full")).model.config.bapa["scheme"] == "bapa"


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_head_that_fsdp_would_train_wrongly_is_refused(home: Path) -> None:
    status, said = start(home, "fsdp-full", "fsdp", "--full")
    assert status != 0
    assert "under FSDP trl trains the output head on a part of its gradient" in said
    assert not (home / "fsdp-full").exists()


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("launch", ["one", "fsdp"])
def test_a_killed_run_goes_on_to_the_same_weights(home: Path, launch: str) -> None:
    options = ("--accumulate", "2") if launch == "one" else ()
    out = f"{launch}-killed"
    status, said = start(home, out, launch, *options, "--save-every", "2", kill_at=4)
    assert status != 0, said[-3000:]
    assert (home / out / "checkpoints" / "checkpoint-4" / "bapa.json").is_file()
    assert not (home / out / "tune.json").exists()
    again = curve(home, out, launch, *options, "--save-every", "2")
    whole = one(home) if launch == "one" else curve(home, launch, launch, "--save-every", "0")
    assert again == whole
    for name, weight in weights(home / launch).items():
        assert torch.equal(weight, weights(home / out)[name]), name


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_what_would_silently_not_be_sharded_is_refused(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(LAUNCH, "refused", (*ACCELERATE, str(CONFIGS / "fsdp.yaml"), "-m", "bapa"))
    status, said = start(home, "refused", "refused")
    assert status != 0
    assert "accelerate does not use FSDP on cpu; name the device, e.g. --device cuda" in said
    assert not (home / "refused").exists(), "nothing half-written is left"
