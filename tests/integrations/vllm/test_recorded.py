"""A scheme that the checkpoint records, in an engine that is told nothing of it."""

from __future__ import annotations

import pytest

pytest.importorskip("vllm", reason="vLLM is not installed here; make test-vllm does that")

from vllm import LLM, SamplingParams

import bapa
from bapa.attach import record
from bapa.checkpoints import load
from bapa.integrations.vllm import engine as engines
from bapa.integrations.vllm.checkpoint import readable
from tests.integrations.vllm.checkpoints import BY_NAME
from tests.integrations.vllm.reference import Reference

SCHEME = "bapa:distance=62"


def saved(name, folder, scheme):
    """A tiny checkpoint, saved again as it is under ``scheme``."""
    loaded = load(str(BY_NAME[name].save(folder / "plain")))
    bapa.balance(loaded.model, scheme).save_pretrained(folder / "balanced")
    loaded.processor.save_pretrained(folder / "balanced")
    return folder / "balanced"


def running(engine):
    return engine.collective_rpc(lambda worker: str(getattr(getattr(worker.get_model(), "bapa", None), "scheme", None)))


@pytest.mark.parametrize("name", ["llava", "qwen2_5_vl"])
def test_it_is_taken_up(name, tmp_path, small):
    folder = saved(name, tmp_path, SCHEME)
    engine = LLM(str(folder), **small)  # of LLaVA: with the names that transformers 5 gives its weights
    try:
        assert running(engine) == [SCHEME]
        reference = Reference(folder, ())
        told = []
        for prompt, pictures in BY_NAME[name].prompts(6):
            inputs = reference.inputs(prompt, pictures)
            ids = reference.processor.tokenizer(prompt, add_special_tokens=False)["input_ids"]
            request = {"prompt_token_ids": ids, **({"multi_modal_data": {"image": pictures}} if pictures else {})}
            wanted = SamplingParams(temperature=0, max_tokens=8, ignore_eos=True, detokenize=False)
            (output,) = engine.generate([request], wanted, use_tqdm=False)
            written = list(output.outputs[0].token_ids)
            assert written == reference.write(SCHEME, inputs, 8), prompt
            told.append(written != reference.write("native", inputs, 8))
        assert any(told)
    finally:
        engines.stop(engine)


def test_one_that_is_asked_for_goes_before(tmp_path, small):
    folder = readable(saved("llava", tmp_path, SCHEME), tmp_path / "cache")
    for scheme, found in (("native", "None"), ("bapa", "bapa")):
        engine = engines.start(folder, scheme, small)
        try:
            assert running(engine) == [found]
        finally:
            engines.stop(engine)


def test_one_that_vllm_cannot_run_is_an_error(tmp_path, small):
    folder = saved("llava", tmp_path, "bapa:distance=1.5")
    with pytest.raises(Exception, match="fractional positions"):
        LLM(str(folder), **small)


def test_the_switch_of_the_papers_code(tmp_path, small):
    folder = BY_NAME["qwen2_5_vl"].save(tmp_path)
    loaded = load(str(folder))
    loaded.model.config.position_balance = True
    loaded.model.config.save_pretrained(folder)
    assert record.read(loaded.model.config) is not None
    engine = LLM(str(folder), **small)
    try:
        assert running(engine) == ["bapa"]
    finally:
        engines.stop(engine)
