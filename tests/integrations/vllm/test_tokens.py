"""The same tokens from the same positions as transformers: 32 mixed prompts in one batch."""

from __future__ import annotations

import pytest

pytest.importorskip("vllm", reason="vLLM is not installed here; make test-vllm does that")

from vllm import SamplingParams

from bapa.integrations.vllm.checkpoint import readable
from tests.integrations.vllm import newest
from tests.integrations.vllm.checkpoints import CHECKPOINTS, Checkpoint
from tests.integrations.vllm.reference import Reference

WRITTEN = 12


@pytest.fixture(scope="module", params=[*CHECKPOINTS, *newest.CHECKPOINTS], ids=lambda checkpoint: checkpoint.name)
def case(request, tmp_path_factory):
    checkpoint: Checkpoint = request.param
    folder = checkpoint.save(tmp_path_factory.mktemp(checkpoint.name))
    forbidden = [
        number
        for word, number in Reference(folder, ()).processor.tokenizer.get_vocab().items()
        if "<" in word or "[" in word
    ]
    reference = Reference(folder, forbidden, causal=checkpoint.causal)
    return checkpoint, readable(folder, tmp_path_factory.mktemp("cache")), reference, forbidden


@pytest.mark.parametrize("scheme", ["native", "bapa", "bapa:distance=62"])
def test_mixed_batch(case, scheme, small, started):
    checkpoint, folder, reference, forbidden = case
    engine = started(folder, scheme, {**small, **checkpoint.engine})
    assert engine.collective_rpc("record")[0] >= 1
    prompts = checkpoint.prompts()
    assert {len(pictures) for _, pictures in prompts} == {0, 1, 2}
    ids = [reference.processor.tokenizer(prompt, add_special_tokens=False)["input_ids"] for prompt, _ in prompts]
    wanted = SamplingParams(
        temperature=0,
        max_tokens=WRITTEN,
        ignore_eos=True,
        logit_bias=dict.fromkeys(forbidden, -100.0),
        detokenize=False,
    )
    requests = [
        {"prompt_token_ids": row, **({"multi_modal_data": {"image": pictures}} if pictures else {})}
        for row, (_, pictures) in zip(ids, prompts, strict=True)
    ]
    outputs = engine.generate(requests, wanted, use_tqdm=False)
    seen, steps = engine.collective_rpc("recorded")[0]

    moved = changed = 0
    for output, (prompt, pictures) in zip(outputs, prompts, strict=True):
        inputs = reference.inputs(prompt, pictures)
        assert output.prompt_token_ids == inputs["input_ids"][0].tolist()
        written = reference.write(scheme, inputs, WRITTEN)
        assert list(output.outputs[0].token_ids) == written, (prompt, len(pictures))
        expected = reference.positions(scheme, inputs, written[:-1])
        (key,) = (name for name in seen if name.split("-")[0] == output.request_id)
        turned = seen[key]
        assert len(turned) == len(expected) - output.num_cached_tokens
        axes = len(turned[0])
        assert turned == [(row * 3)[:axes] if len(row) == 1 else row for row in expected[output.num_cached_tokens :]]
        moved += expected != reference.positions("native", inputs, written[:-1])
        changed += written != reference.write("native", inputs, WRITTEN)
    with_pictures = sum(bool(pictures) for _, pictures in prompts)
    assert moved == (0 if scheme == "native" else with_pictures)
    assert changed == 0 if scheme == "native" else changed > with_pictures / 2  # the words tell schemes apart
    # What was promised to be on was on.
    assert max(map(len, steps)) > 8  # requests in one forward
    assert any(output.num_cached_tokens for output in outputs)
    longest = max(len(output.prompt_token_ids) for output in outputs)
    assert longest > max(map(sum, steps))  # no forward can have held it whole
