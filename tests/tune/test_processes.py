"""Several processes train as one does, and the launcher reads the configurations that ship."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from accelerate.commands.config.config_args import load_config_from_file

from bapa.models import load
from tests.tune.processors import picture, saved

ROOT = Path(__file__).parents[2]
CONFIGS = ROOT / "bapa" / "tune" / "configs"
TOLERANCE = 1e-4  # of the loss, relative: sums in another order, 6 steps long


@pytest.mark.parametrize(("name", "kind"), [("cpu", "MULTI_CPU"), ("fsdp", "FSDP"), ("deepspeed", "DEEPSPEED")])
def test_accelerate_reads_the_configurations(name: str, kind: str) -> None:
    config = load_config_from_file(str(CONFIGS / f"{name}.yaml"))
    assert config.distributed_type == kind
    assert config.num_processes == 2


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("processes")
    saved("llava", folder / "base")
    for number in range(2):
        picture(number).save(folder / f"{number}.png")
    rows = [
        {
            "images": ["0.png", "1.png"][: number % 3],
            "conversations": [
                {"from": "human", "value": "<image> " * (number % 3) + f"w{10 + number} w20"},
                {"from": "gpt", "value": "yes no" if number % 2 else "no"},
            ],
        }
        for number in range(24)
    ]
    (folder / "chats.json").write_text(json.dumps(rows))
    return folder


def curve(home: Path, out: str, *options: str, config: Path | None = None) -> list[float]:
    """The loss curve of a run of the command."""
    launch = ["accelerate.commands.launch", "--config_file", str(config), "-m", "bapa"] if config else ["bapa"]
    command = [sys.executable, "-m", *launch, "tune", str(home / "base"), "--data", str(home / "chats.json")]
    command += ["--out", str(home / out), "--rate", "5e-3", "--batch", "2", "--save-every", "0", *options]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stderr[-3000:]
    return [entry["loss"] for entry in json.loads((home / out / "tune.json").read_text())["loss"]]


def on_cpu(name: str, home: Path) -> Path:
    """A shipped configuration for CPUs."""
    config = yaml.safe_load((CONFIGS / f"{name}.yaml").read_text())
    path = home / f"{name}.yaml"
    path.write_text(yaml.safe_dump({**config, "use_cpu": True}))
    return path


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_two_processes_train_like_one_with_twice_the_accumulation(home: Path) -> None:
    one = curve(home, "one", "--accumulate", "2")
    two = curve(home, "two", config=CONFIGS / "cpu.yaml")
    assert len(one) == len(two) == 6
    assert max(abs(a - b) / a for a, b in zip(one, two, strict=True)) < TOLERANCE
    assert one[0] != pytest.approx(one[-1], rel=10 * TOLERANCE), "it has learned something"
    assert json.loads((home / "two" / "tune.json").read_text())["processes"] == 2
    other = curve(home, "other", "--accumulate", "1", "--steps", "6")
    assert max(abs(a - b) / a for a, b in zip(one, other, strict=True)) > 10 * TOLERANCE, "the comparison can fail"
    load(str(home / "two"))


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("options", [(), ("--full",)])
def test_fully_sharded_processes_train_like_one(home: Path, options: tuple[str, ...]) -> None:
    name = "-".join(("sharded", *options))
    one = curve(home, f"{name}-one", "--accumulate", "2", *options)
    two = curve(home, name, *options, config=on_cpu("fsdp", home))
    assert max(abs(a - b) / a for a, b in zip(one, two, strict=True)) < TOLERANCE
    load(str(home / name))
