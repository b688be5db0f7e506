"""A rule per request beside transformers, used in other ways: turns of a chat, samples, a cache that is full."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("vllm", reason="vLLM is not installed here; make test-vllm does that")

from vllm import SamplingParams

from bapa.integrations.vllm.checkpoint import readable
from tests.integrations.vllm.checkpoints import BY_NAME
from tests.integrations.vllm.compare import WRITTEN, Case, greedily

RULES = ("native", "bapa", "bapa:distance=62", "reverse")


@pytest.fixture(scope="module", params=["llava"])
def case(request, tmp_path_factory):
    folder = BY_NAME[request.param].save(tmp_path_factory.mktemp(request.param))
    return Case(BY_NAME[request.param], folder), readable(folder, tmp_path_factory.mktemp("cache"))


def asked(case: Case, text: str, pictures: list[Any]) -> dict[str, Any]:
    words = case.reference.processor.tokenizer
    return {
        "prompt_token_ids": words(text, add_special_tokens=False)["input_ids"],
        "multi_modal_data": {"image": pictures},
    }


def test_a_chat_whose_rule_changes_between_turns(case, small, started):
    """Both turns begin alike, with pictures, and the second finds nothing of the first in the cache."""
    asking, folder = case
    engine = started(folder, "native", small, rules=True)
    shown = [prompt for prompt in asking.prompts if len(prompt[1]) == 2]
    words = asking.reference.processor.tokenizer
    differ = found_again = 0
    for i, (text, pictures) in enumerate(shown):
        first, second = RULES[i % 4], RULES[(i + 1) % 4]
        (output,) = engine.generate([asked(asking, text, pictures)], greedily(asking.forbidden, first), use_tqdm=False)
        said = list(output.outputs[0].token_ids)
        inputs = asking.reference.inputs(text, pictures)
        assert said == asking.reference.write(first, inputs, WRITTEN)
        text = f"{text} {words.decode(said)} w1 w2 w3"
        inputs = asking.reference.inputs(text, pictures)
        told = {rule: asking.reference.write(rule, inputs, WRITTEN) for rule in (first, second)}
        for rule in (second, first, second):
            (output,) = engine.generate(
                [asked(asking, text, pictures)], greedily(asking.forbidden, rule), use_tqdm=False
            )
            assert list(output.outputs[0].token_ids) == told[rule], (i, rule)
            found_again += bool(output.num_cached_tokens)
        differ += told[first] != told[second]
    assert differ > len(shown) / 2
    assert found_again >= 2 * len(shown)  # the first turn by its own rule, the second by itself


def test_samples_of_one_request_run_under_its_rule(case, small, started):
    asking, folder = case
    engine = started(folder, "native", small, rules=True)
    bias = dict.fromkeys(asking.forbidden, -100.0)
    text, pictures = next(prompt for prompt in asking.prompts if len(prompt[1]) == 2)
    inputs = asking.reference.inputs(text, pictures)
    apart = []
    for rule in RULES:
        wanted = SamplingParams(
            n=4, temperature=1, max_tokens=6, ignore_eos=True, logprobs=1, logit_bias=bias,
            detokenize=False, extra_args={"bapa": rule},
        )  # fmt: skip
        (output,) = engine.generate([asked(asking, text, pictures)], wanted, use_tqdm=False)
        assert len({tuple(sample.token_ids) for sample in output.outputs}) > 1
        for sample in output.outputs:
            tokens = list(sample.token_ids)
            told = [at[token].logprob for at, token in zip(sample.logprobs, tokens, strict=True)]
            assert told == pytest.approx(asking.reference.scores(rule, inputs, tokens), abs=2e-3), rule
            other = asking.reference.scores("bapa" if rule == "native" else "native", inputs, tokens)
            apart.append(max(abs(a - b) for a, b in zip(told, other, strict=True)))
    assert min(apart) > 0.01  # the log probabilities tell rules apart


def test_a_request_that_was_put_off_goes_on_under_its_rule(case, small, started):
    """A cache too small for all: vLLM throws some out and computes them again, what they wrote included."""
    asking, folder = case
    shown = [prompt for prompt in asking.prompts if prompt[1]]
    pairs = [(prompt, rule) for prompt in shown for rule in RULES][:48]
    room = {"max_num_batched_tokens": 256, "num_gpu_blocks_override": 24, "disable_log_stats": False}
    engine = started(folder, "native", {**small, **room}, rules=True)
    outputs = engine.generate(
        [asked(asking, *prompt) for prompt, _ in pairs],
        [greedily(asking.forbidden, rule) for _, rule in pairs],
        use_tqdm=False,
    )
    (put_off,) = (one.value for one in engine.get_metrics() if one.name == "vllm:num_preemptions")
    assert put_off > 0
    for (prompt, rule), output in zip(pairs, outputs, strict=True):
        inputs = asking.reference.inputs(*prompt)
        assert list(output.outputs[0].token_ids) == asking.reference.write(rule, inputs, WRITTEN), rule
