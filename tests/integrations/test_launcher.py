"""`bapa run`: commands that know nothing of bapa run under a scheme, or fail."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

import bapa
from tests.attach.checks import TWO_IMAGES, logits
from tests.tiny import FAMILIES
from tests.tiny.unsupported import UNSUPPORTED

ROOT = Path(__file__).parents[2]
LLAVA = FAMILIES["llava"]

# Loads a model and prints what it says to inputs; the further lines are what some commands do.
SCRIPT = """
import json, os, sys
import torch
from safetensors.torch import load_file
from transformers import AutoModelForImageTextToText

model = AutoModelForImageTextToText.from_pretrained(sys.argv[1], attn_implementation="sdpa").eval()
with torch.no_grad():
    logits = model(**load_file(sys.argv[2])).logits[0, -1]
if int(os.environ.get("WORLD_SIZE", "1")) > 1:
    torch.distributed.init_process_group("gloo")
    both = [torch.empty_like(logits) for _ in range(2)]
    torch.distributed.all_gather(both, logits)
    assert torch.equal(*both)
    torch.distributed.destroy_process_group()
if os.environ.get("RANK", "0") == "0":
    print(json.dumps(logits.tolist()))
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("launcher")
    LLAVA.build().save_pretrained(folder / "model")
    save_file(LLAVA.inputs(TWO_IMAGES), folder / "inputs.safetensors")
    (folder / "script.py").write_text(SCRIPT)
    return folder


def run(*command: str | Path, scheme: str = "bapa", path: str = "") -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-m", "bapa", "run", "--scheme", scheme, "--", *map(str, command)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), path])), "HF_HUB_OFFLINE": "1"}
    return subprocess.run(words, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


def expected(scheme: str) -> torch.Tensor:
    with torch.no_grad():
        return logits(bapa.balance(LLAVA.build(), scheme), LLAVA.inputs(TWO_IMAGES))[0, -1]


def printed(done: subprocess.CompletedProcess[str]) -> torch.Tensor:
    assert done.returncode == 0, done.stderr
    return torch.tensor(json.loads(done.stdout))


def test_a_script_that_knows_nothing_of_bapa_prints_balanced_logits(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text("import os; os.environ['THEIRS'] = 'ran'\n")
    (tmp_path / "theirs.py").write_text(f"{SCRIPT}\nassert os.environ['THEIRS'] == 'ran'\n")
    command = [sys.executable, tmp_path / "theirs.py", folder / "model", folder / "inputs.safetensors"]
    shown = printed(run(*command, scheme="bapa:distance=native", path=str(tmp_path)))
    assert torch.allclose(shown, expected("bapa:distance=native"), atol=1e-6)
    assert not torch.allclose(shown, expected("native"), atol=1e-2)
    assert not torch.allclose(shown, expected("bapa"), atol=1e-2)


def test_every_process_of_torchrun(folder: Path) -> None:
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    done = run(*torchrun, folder / "script.py", folder / "model", folder / "inputs.safetensors")
    assert torch.allclose(printed(done), expected("bapa"), atol=1e-6)


def test_nothing_balanced_is_an_error(tmp_path: Path) -> None:
    from transformers import LlamaConfig, LlamaForCausalLM

    small = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    LlamaForCausalLM(LlamaConfig(vocab_size=8, **small)).save_pretrained(tmp_path / "text")
    load = f"from transformers import AutoModelForCausalLM as A; A.from_pretrained({str(tmp_path / 'text')!r})"
    done = run(sys.executable, "-c", load)
    assert done.returncode == 2
    line = done.stderr.splitlines()[-1]
    assert line.startswith("bapa: nothing ran under bapa")
    assert "LlamaForCausalLM" in line
    # -I: a Python that reads no PYTHONPATH is out of reach, which must not pass for success either.
    done = run(sys.executable, "-I", "-c", "pass")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "no model" in done.stderr


def test_errors_reach_the_command_and_cannot_be_swallowed(folder: Path, tmp_path: Path) -> None:
    bapa.balance(LLAVA.build(), "bapa:distance=native").save_pretrained(tmp_path / "other")
    load = f"from transformers import AutoModelForImageTextToText as A; A.from_pretrained({str(tmp_path / 'other')!r})"
    done = run(sys.executable, "-c", load)
    assert done.returncode == 1
    assert "was saved under bapa:distance=native, bapa run was asked for bapa" in done.stderr
    swallowing = f"try:\n  {load}\nexcept Exception: pass"
    done = run(sys.executable, "-c", swallowing)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith(f"bapa: {sys.executable} went on after an error")
    assert "was saved under" in done.stderr


def test_a_vision_language_model_that_cannot_be_balanced_is_an_error(tmp_path: Path) -> None:
    UNSUPPORTED["mllama"].build().save_pretrained(tmp_path / "model")
    load = f"from transformers import AutoModelForImageTextToText as A; A.from_pretrained({str(tmp_path / 'model')!r})"
    done = run(sys.executable, "-c", load)
    assert done.returncode == 1
    assert "cross-attention" in done.stderr.splitlines()[-1]


def test_exit_codes_and_signals_are_handed_through() -> None:
    assert run(sys.executable, "-c", "raise SystemExit(7)").returncode == 7
    assert run("sh", "-c", "kill -9 $$").returncode == 128 + 9
    missing = run("no-such-command")
    assert (missing.returncode, missing.stderr.count("\n")) == (2, 1)
    assert "no-such-command" in missing.stderr
    words = [sys.executable, "-m", "bapa", "run", "--", "sh", "-c", "echo ready; exec sleep 60"]
    with subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        time.sleep(0.2)  # until its handler stands
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 128 + signal.SIGTERM
