"""An engine that would not run the scheme does not start."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

pytest.importorskip("vllm", reason="vLLM is not installed here; make test-vllm does that")

from vllm import LLM, ModelRegistry
from vllm.plugins import load_general_plugins

from bapa.errors import BapaError, ModelError, NotBalancedError
from bapa.integrations.vllm import engine as engines
from bapa.integrations.vllm.checkpoint import readable
from tests.integrations.vllm.checkpoints import BY_NAME
from tests.integrations.vllm.every import CHECKPOINTS


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return BY_NAME["qwen2_5_vl"].save(tmp_path_factory.mktemp("qwen"))


@pytest.fixture
def unregistered(monkeypatch):
    """The state of a process that could not load this plugin."""
    load_general_plugins()  # once in a process, so not again when an engine starts
    known = {name: model for name, model in ModelRegistry.models.items() if not name.startswith("Bapa")}
    monkeypatch.setattr(ModelRegistry, "models", known)
    return known


def test_without_the_plugin(folder, small, unregistered):
    with pytest.raises(ModelError, match=r"BapaQwen2_5_VLForConditionalGeneration.* not supported"):
        engines.start(folder, "bapa", small)


def test_with_a_class_that_gives_native_positions(tmp_path, small, unregistered):
    """The worst plugin: everything loads and runs, natively."""
    folder = BY_NAME["qwen2_5_vl"].save(tmp_path)  # of its own: vLLM remembers the class of a folder
    unregistered["BapaQwen2_5_VLForConditionalGeneration"] = unregistered["Qwen2_5_VLForConditionalGeneration"]
    with pytest.raises(NotBalancedError, match="workers run native, not bapa"):
        engines.start(folder, "bapa", small)


def test_with_another_scheme(folder, small, started):
    engine = started(folder, "bapa", small)
    with pytest.raises(NotBalancedError, match="workers run bapa, not bapa:distance=62"):
        engines.verify(engine.collective_rpc("bapa_scheme"), "bapa:distance=62")


@pytest.mark.parametrize(("name", "scheme"), [("gemma3", "native"), ("gemma3", "bapa"), ("gemma4", "bapa")])
def test_attention_that_a_cpu_has_not(tmp_path, small, name, scheme):
    folder = next(each for each in CHECKPOINTS if each.name == name).save(tmp_path)
    told = json.loads((folder / "config.json").read_text())
    if name == "gemma3":
        assert told.pop("is_mm_prefix_lm") is False
    else:  # as the larger ones of the hub, from 12B on
        told["text_config"]["use_bidirectional_attention"] = "vision"
    (folder / "config.json").write_text(json.dumps(told))
    with pytest.raises(BapaError, match="tokens of an image see each other"):
        engines.start(readable(folder, tmp_path / "cache"), scheme, small)


@pytest.mark.parametrize(
    ("left_out", "message"), [("bapa", "config names none"), ("mrope_section", "lacks mrope_section")]
)
def test_with_half_an_override(tmp_path, small, left_out, message):
    folder = BY_NAME["llava"].save(tmp_path)
    given = engines.arguments(folder, "bapa")
    del given["hf_overrides"][left_out]
    with pytest.raises(NotBalancedError, match=message):
        LLM(**given, **small)


def test_speculative_decoding(folder):
    """In a process of its own: guessing imports numba, and vLLM starts no further engine for a CPU beside that."""
    guessing = {"method": "ngram", "num_speculative_tokens": 2, "prompt_lookup_max": 2}
    options = {"enforce_eager": True, "max_model_len": 512, "speculative_config": guessing}
    script = f"from bapa.integrations.vllm import engine; engine.start({str(folder)!r}, 'bapa', {options!r})"
    environment = {**os.environ, "VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_CPU_OMP_THREADS_BIND": "nobind"}
    run = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True)
    assert run.returncode
    assert "speculative decoding gives positions of its own" in run.stdout + run.stderr


def test_the_command_says_so_in_one_line(tmp_path):
    """The real thing: processes of their own, and a plugin that none of them loads."""
    script = "import bapa.probe as p; p.build('digits', 'probe', p.Design(items=1))"
    subprocess.run([sys.executable, "-c", script], cwd=tmp_path, check=True)
    command = "measure reference --probe probe --scheme bapa --out run --backend vllm --engine enforce_eager=true"
    environment = {**os.environ, "VLLM_PLUGINS": "another", "VLLM_CPU_KVCACHE_SPACE": "1"}
    run = subprocess.run(
        [sys.executable, "-m", "bapa", *command.split()], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert run.returncode == 2
    said = run.stderr.strip().splitlines()[-1]
    assert said.startswith("bapa: vLLM does not start")
    assert "BapaLlavaForConditionalGeneration" in said
