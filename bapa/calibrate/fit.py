"""Shares fitted to a model: how much of a shared position each head takes, rotary pair by rotary pair.

Evenness and the sense of place often sit in the same layer, and in other heads or rotary pairs. There are too many of
these to try one after the other, so the numbers are found by gradient: right answers to the probe in every cell, and to
the side-effect probes what the model gets right natively. No weight of the model changes.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bapa.attach import attention, balanced
from bapa.calibrate.candidates import NATIVE
from bapa.calibrate.session import Session
from bapa.errors import SchemeError
from bapa.families.anatomy import find
from bapa.files import read_json, write_json
from bapa.inference.answers import AnswerSet
from bapa.inference.forward import fresh
from bapa.probe import Question
from bapa.progress import progress
from bapa.schemes import Scheme, make, parse
from bapa.schemes.shares import written

RULES = ("bapa", "calibrated:distance=1x", "calibrated:distance=2x")  # the position that is shared
PAIRS, GUARDING = "text-to-image", 2.0  # of tokens; and the weight of the side-effect probes
STEPS, RATE, SPARING = 100, 0.2, 0.05  # SPARING: weight of the mean share, so that what changes nothing goes to 0
MATCHES, GUARDED = 2, 2  # batches a step of the probe, and of each side-effect probe


@dataclass(frozen=True)
class Batch:
    """One question about each of some canvases. ``inputs``: whole prompts, padded on the left. ``choices``: for each
    row the token ids that say each choice, and which choice is right; None where the row does not count.
    """

    inputs: dict[str, Any]
    choices: list[tuple[list[Tensor], int] | None]

    def loss(self, logits: Tensor) -> Tensor:
        """Log of the mean of exp(cross entropy) over the rows: those that are answered worst count most, so a rule that
        is right in all cells but one does not pass for a good one. ``logits``: (rows, vocabulary), of what follows.
        """
        lost = [
            F.cross_entropy(scores(row, told[0])[None], torch.tensor([told[1]], device=row.device))
            for row, told in zip(logits.float(), self.choices, strict=True)
            if told is not None
        ]
        return torch.stack(lost).logsumexp(0) - math.log(len(lost))

    def right(self, logits: Tensor) -> Tensor:
        """The mean probability of the right choice among the choices, over the rows. ``logits``: as for the loss."""
        found = [
            scores(row, told[0]).softmax(-1)[told[1]]
            for row, told in zip(logits.float(), self.choices, strict=True)
            if told is not None
        ]
        return torch.stack(found).mean()


def canvases(cells: int, batch_size: int, guards: int) -> float:
    """What the fits cost, in items asked under one rule: every canvas of a step counts three times, there and back."""
    return 3 * len(RULES) * STEPS * (MATCHES + guards * GUARDED) * batch_size / cells


def fitted(match: Session, guards: Sequence[Session], items: int, seed: int, kept: Path) -> list[str]:
    """Labels of rules whose shares were fitted on the first ``items`` items of every session; each is written into the
    file ``kept`` as it ends, and what is there is not fitted again.

    Raises SchemeError where the model's layers do not hold their heads alike, or cannot mix scores.
    """
    done: dict[str, str] = read_json(kept) if kept.is_file() else {}
    missing = [rule for rule in RULES if rule not in done]
    asked = _asked(match, guards, items) if missing else []
    for rule in missing:
        try:
            done[rule] = _label(rule, _fit(match.model.model, asked, rule, seed))
        except SchemeError as error:
            raise SchemeError(f"no shares can be fitted to {match.model.name}, so leave out --fit: {error}") from error
        write_json(kept, done)
    return [done[rule] for rule in RULES if done[rule] != NATIVE]


def _asked(match: Session, guards: Sequence[Session], items: int) -> list[list[Batch]]:
    """Batches of the probe, then of each side-effect probe what the model gets right natively."""
    asked = [list(batches(match, items))]
    with torch.no_grad(), balanced(match.model.model, "native"):  # its folder may record a rule
        for one in guards:
            known = [right for batch in batches(one, items) for right in _natively_right(match.model.model, batch)]
            asked += [known] if known else []
    return asked


def batches(session: Session, items: int) -> Iterator[Batch]:
    """Every question of a session, those of one number about the canvases of one block together."""
    asker = session.asker(session.probe, ["native"])
    canvases = items * session.probe.cells
    for number in range(len(asker)):
        block = asker.plan.block(number)[: max(canvases - number * asker.plan.batch_size, 0)]
        if not block:
            return
        prepared = asker.prepare(block)
        if isinstance(prepared, Exception):
            raise prepared
        seen = session.forward.see(prepared.asked)
        for column, inputs in enumerate(session.forward.whole(seen)):
            of = [row[column] if column < len(row) else None for row in prepared.questions]
            yield Batch(inputs, [_told(asker.answers, question) if question else None for question in of])


def _told(answers: AnswerSet, question: Question) -> tuple[list[Tensor], int]:
    return answers.tokens(question.choices), question.choices.index(question.answer)


def _natively_right(model: nn.Module, batch: Batch) -> Iterator[Batch]:
    """The batch with the rows that are answered right as the model stands; nothing where none is."""
    logits = following(model, batch)
    right = [
        told if told and _best(row, told[0]) == told[1] else None
        for row, told in zip(logits, batch.choices, strict=True)
    ]
    if any(right):
        yield Batch(batch.inputs, right)


def _best(row: Tensor, tokens: list[Tensor]) -> int:
    return int(scores(row, tokens).argmax())


def scores(row: Tensor, tokens: list[Tensor]) -> Tensor:
    """The logit of each choice, as :meth:`~bapa.inference.answers.AnswerSet.read` has it."""
    return torch.stack([row[ids].logsumexp(-1) for ids in tokens])


def following(model: nn.Module, batch: Batch) -> Tensor:
    """Logits of what follows the prompts of ``batch``, (rows, vocabulary); gradients flow back to the rule."""
    logits: Tensor = model(**fresh(batch.inputs), logits_to_keep=1, use_cache=False).logits[:, -1]
    return logits


def _fit(model: nn.Module, asked: Sequence[Sequence[Batch]], rule: str, seed: int) -> Mapping[int, Tensor]:
    """Shares by layer, (heads x rotary pairs,) each. ``asked``: batches of the probe, then of each other."""
    layers, heads, turning = sizes(model)
    wanted = {layer: torch.full((heads * turning,), -1.0, requires_grad=True) for layer in layers}
    optimizer = torch.optim.Adam(wanted.values(), lr=RATE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, STEPS)
    draws = random.Random(seed)
    start = whole(layers, heads)
    with balanced(model, _shared(rule, start)), frozen(model), progress(f"fit of {rule}", STEPS) as step:
        for _ in range(STEPS):
            shares = {layer: one.sigmoid() for layer, one in wanted.items()}
            attention.mix(model, shares)
            loss = SPARING * torch.cat([*shares.values()]).mean()
            for number, its in enumerate(asked):
                count = GUARDED if number else MATCHES
                some = draws.sample(its, min(count, len(its)))
                lost = [batch.loss(following(model, batch)) for batch in some]
                loss = loss + (GUARDING if number else 1.0) * torch.stack(lost).mean().cpu()
            for one, gradient in zip(wanted.values(), torch.autograd.grad(loss, [*wanted.values()]), strict=True):
                one.grad = gradient
            optimizer.step()
            schedule.step()
            step()
    return {layer: one.detach().sigmoid() for layer, one in wanted.items()}


def whole(layers: Sequence[int], heads: int) -> str:
    """Shares under which every head of ``layers`` takes all of a rule."""
    return "+".join(f"{layer}:{'f' * heads}" for layer in layers)


def sizes(model: nn.Module) -> tuple[list[int], int, int]:
    """Numbers of the decoder layers that can mix scores, key-value heads of each, rotary pairs of a head.

    Raises SchemeError where the model does not say how many pairs there are.
    """
    anatomy = find(model)
    text = anatomy.model.config.get_text_config()
    heads = getattr(text, "num_key_value_heads", None) or text.num_attention_heads
    buffers = dict(anatomy.rotaries[0].named_buffers())
    found = [len(buffers[name]) for name in buffers if name.endswith("inv_freq")]  # one for each kind of layer
    if not found:
        raise SchemeError(f"{type(anatomy.model).__name__} does not say how many rotary pairs its heads have")
    return attention.layers(model), int(heads), found[0]


@contextmanager
def frozen(model: nn.Module) -> Iterator[None]:
    """Let no parameter want a gradient for a while: what is fitted lies outside the model."""
    wanting = [parameter for parameter in model.parameters() if parameter.requires_grad]
    for parameter in wanting:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in wanting:
            parameter.requires_grad_(True)


def _label(rule: str, shares: Mapping[int, Tensor]) -> str:
    digits = written({layer: row.tolist() for layer, row in shares.items()})
    return _shared(rule, digits).label if digits else NATIVE


def _shared(rule: str, shares: str) -> Scheme:
    """``rule`` in the scores of :data:`PAIRS`, as far as ``shares`` say."""
    whole = parse(rule)
    return make(whole.name, **{**whole.options, "pairs": PAIRS, "shares": shares})
