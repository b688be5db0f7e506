"""A rule per request: 64 requests under four rules in one engine answer as in engines of their own."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("vllm", reason="vLLM is not installed here; make test-vllm does that")

from transformers import AutoTokenizer
from vllm.exceptions import VLLMValidationError

from bapa.integrations.vllm import rules as rules_module
from bapa.integrations.vllm.checkpoint import readable
from tests.integrations.vllm.checkpoints import BY_NAME, Checkpoint
from tests.integrations.vllm.compare import WRITTEN, greedily

RULES = ("native", "bapa", "bapa:distance=62", "reverse")


class Case:
    """A tiny checkpoint and 16 prompts with pictures, of which many begin alike."""

    def __init__(self, checkpoint: Checkpoint, folder: Any, cache: Any) -> None:
        self.checkpoint = checkpoint
        saved = checkpoint.save(folder)
        self.folder = readable(saved, cache)
        words = AutoTokenizer.from_pretrained(saved)
        self.forbidden = [number for word, number in words.get_vocab().items() if "<" in word]
        prompts = [(text, shown) for text, shown in checkpoint.prompts(24) if shown]
        self.requests = [
            {
                "prompt_token_ids": words(text, add_special_tokens=False)["input_ids"],
                "multi_modal_data": {"image": shown},
            }
            for text, shown in prompts
        ]
        assert len(self.requests) == 16

    def write(self, engine: Any, rules: list[str | None]) -> tuple[dict[Any, list[list[int]]], int]:
        """What the engine writes to all requests under each rule, in turns, and how many tokens came from its cache."""
        pairs = [(request, rule) for request in self.requests for rule in rules]
        outputs = engine.generate(
            [r for r, _ in pairs], [greedily(self.forbidden, rule) for _, rule in pairs], use_tqdm=False
        )
        written: dict[Any, list[list[int]]] = {rule: [] for rule in rules}
        for (_, rule), output in zip(pairs, outputs, strict=True):
            written[rule].append(list(output.outputs[0].token_ids))
        return written, sum(output.num_cached_tokens or 0 for output in outputs)


@pytest.fixture(scope="module", params=["llava", "qwen2_5_vl"])
def case(request, tmp_path_factory):
    made = tmp_path_factory.mktemp(request.param)
    return Case(BY_NAME[request.param], made, tmp_path_factory.mktemp("cache"))


def test_mixed_rules_answer_as_in_engines_of_their_own(case, small, started, monkeypatch):
    options = {**small, "max_num_seqs": 64, "max_num_batched_tokens": 256}
    own = {rule: case.write(started(case.folder, rule, options), [None])[0][None] for rule in RULES}
    assert sum(own["native"] != own[rule] for rule in RULES) == 3  # the words tell the rules apart
    engine = started(case.folder, "native", options, rules=True)
    for _ in range(2):  # again from the cache
        found, cached = case.write(engine, list(RULES))
        assert found == own
    assert cached > 0

    # A request that names none runs under the engine's own.
    assert case.write(engine, [None])[0][None] == own["native"]

    # What the salt is for: without it a request takes over keys that were turned under another rule.
    engine.reset_prefix_cache()
    monkeypatch.setattr(rules_module, "salt", lambda scheme, given: given or "")
    case.write(engine, list(RULES))
    assert case.write(engine, list(RULES))[0] != own


def test_a_rule_that_cannot_be_run_is_refused_and_the_engine_lives(case, small, started):
    if case.checkpoint.name != "llava":
        pytest.skip("one family is enough")
    engine = started(case.folder, "bapa", small, rules=True)
    for rule, says in (
        ("bapas", "unknown scheme"),
        ("bapa:distance=9999", "this model has positions 0 to 1023"),
        ("vrope", "use --backend hf"),
        (7, "is no text"),
    ):
        with pytest.raises(VLLMValidationError, match=says):
            engine.generate(case.requests[:1], greedily(case.forbidden, rule), use_tqdm=False)
        (answer,) = engine.generate(case.requests[:1], greedily(case.forbidden, "native"), use_tqdm=False)
        assert len(answer.outputs[0].token_ids) == WRITTEN


def test_an_engine_without_rules_refuses_them(case, small, started):
    if case.checkpoint.name != "llava":
        pytest.skip("one family is enough")
    engine = started(case.folder, "native", small)
    with pytest.raises(VLLMValidationError, match="takes no rule; start it with bapa serve --rules"):
        engine.generate(case.requests[:1], greedily(case.forbidden, "bapa"), use_tqdm=False)
