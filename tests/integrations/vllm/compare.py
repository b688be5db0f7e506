"""Mixed prompts in one batch of an engine, beside what transformers makes of each alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vllm import SamplingParams

from bapa.families.anatomy import find
from tests.integrations.vllm.checkpoints import Checkpoint
from tests.integrations.vllm.reference import Reference

WRITTEN = 12  # tokens of an answer: fewer leave the engine too early to fill its batch with long prompts
SCHEMES = ("native", "bapa", "bapa:distance=62")


def greedily(forbidden: Sequence[int], rule: str | None = None) -> SamplingParams:
    """The likeliest tokens, none of the ``forbidden`` ones, under the ``rule`` that the request names."""
    return SamplingParams(
        temperature=0,
        max_tokens=WRITTEN,
        ignore_eos=True,
        logit_bias=dict.fromkeys(forbidden, -100.0),
        detokenize=False,
        extra_args=None if rule is None else {"bapa": rule},
    )


@dataclass(frozen=True)
class Compared:
    """``tokens``, ``positions``: of how many of the ``prompts`` all written tokens, all positions are those of
    transformers. ``shown``: prompts with pictures. ``moved``: positions differ from native ones; ``changed``: written
    tokens do, in transformers. ``cached``: prompts that found a part of themselves in the prefix cache. ``batch``: the
    most requests in one forward. ``chunked``: a prompt did not fit in any forward.
    """

    prompts: int
    shown: int
    tokens: int
    positions: int
    moved: int
    changed: int
    cached: int
    batch: int
    chunked: bool


class Case:
    """A tiny checkpoint under transformers, and its prompts. ``folder``: where it was saved."""

    def __init__(self, checkpoint: Checkpoint, folder: Path) -> None:
        self.checkpoint = checkpoint
        words = Reference(folder, ()).processor.tokenizer.get_vocab()
        self.forbidden = [number for word, number in words.items() if "<" in word or "[" in word]
        self.dtype = str(checkpoint.engine.get("dtype", "float32"))
        self.reference = Reference(folder, self.forbidden, causal=checkpoint.causal, dtype=self.dtype)
        self.axes = find(self.reference.model).axes
        self.prompts = checkpoint.prompts()
        assert {len(pictures) for _, pictures in self.prompts} == {0, 1, 2}
        self._native: list[list[int]] | None = None

    def requests(self) -> list[dict[str, Any]]:
        """The prompts as vLLM takes them."""
        words = self.reference.processor.tokenizer
        rows = [words(prompt, add_special_tokens=False)["input_ids"] for prompt, _ in self.prompts]
        return [
            {"prompt_token_ids": row, **({"multi_modal_data": {"image": pictures}} if pictures else {})}
            for row, (_, pictures) in zip(rows, self.prompts, strict=True)
        ]

    def native(self) -> list[list[int]]:
        """What transformers writes natively."""
        if self._native is None:
            rows = [self.reference.inputs(*prompt) for prompt in self.prompts]
            self._native = [self.reference.write("native", inputs, WRITTEN) for inputs in rows]
        return self._native

    def compare(self, engine: Any, scheme: str, rule: str | None = None) -> Compared:
        """Ask an engine that has the recorder in its worker and runs ``scheme``, or takes it as each request's
        ``rule``.
        """
        assert engine.collective_rpc("record")[0] >= 1
        outputs = engine.generate(self.requests(), greedily(self.forbidden, rule), use_tqdm=False)
        seen, steps = engine.collective_rpc("recorded")[0]
        tokens = positions = moved = changed = 0
        for output, prompt, native in zip(outputs, self.prompts, self.native(), strict=True):
            inputs = self.reference.inputs(*prompt)
            assert output.prompt_token_ids == inputs["input_ids"][0].tolist()
            found = list(output.outputs[0].token_ids)
            written = native if scheme == "native" else self.reference.write(scheme, inputs, WRITTEN)
            tokens += found == written
            changed += written != native
            # Of what the engine itself wrote, so that a token that differs leaves no other rows to compare.
            expected = self.reference.positions(scheme, inputs, found[:-1])
            moved += expected != self.reference.positions("native", inputs, found[:-1])
            (key,) = (name for name in seen if name.split("-")[0] == output.request_id)
            positions += same(seen[key], expected[output.num_cached_tokens :])
        longest = max(len(output.prompt_token_ids) for output in outputs)
        return Compared(
            prompts=len(outputs),
            shown=sum(bool(pictures) for _, pictures in self.prompts),
            tokens=tokens,
            positions=positions,
            moved=moved,
            changed=changed,
            cached=sum(bool(output.num_cached_tokens) for output in outputs),
            batch=max(map(len, steps)),
            chunked=longest > max(map(sum, steps)),
        )


def same(turned: list[list[int]], expected: list[list[int]]) -> bool:
    """Whether a worker turned by the positions of transformers; with one axis in one of them, by equal rows."""
    axes = len(turned[0])
    return turned == [(row * 3)[:axes] if len(row) == 1 else row for row in expected]
