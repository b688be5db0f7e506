"""How much of a shared position each head takes, rotary pair by rotary pair, found on grids of words: PLAN.md; or, from
there, on pictures: PLAN-2.md.

By gradient: names of what is there above names of what is not, equally in every cell, and of neighbours no less than
the model knows natively. No weight of the model changes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from transformers.modeling_outputs import BaseModelOutputWithPooling

from bapa.attach import attention, balanced
from bapa.calibrate.fit import sizes
from bapa.inference.forward import Asked, Forward
from bapa.inference.progress import progress
from bapa.inference.prompts import Prompt, Prompts
from bapa.schemes import parse
from bapa.schemes.shares import fractions, written
from studies.pretrained import build
from studies.words.ask import CELLS, WORDINGS, cell_of_token, prompt
from studies.words.neighbours import FORMS, RELATIONS

SIDE, SEED, STEPS, RATE = 9, 5, 90, 0.15
MORE = 40  # steps on pictures
GRIDS, MENTIONED, MEANS = 6, 2, 24  # grids a step, grids a step asked about neighbours, grids of the names' means
EARLY, START, LITTLE, HELD = 0.2, 0.6, 0.05, 0.02  # the blend: LITTLE up to a fifth of the depth, then START
EVEN, KEEP, MARGIN, SHARP, MEMORY, NAMED = 1.0, 2.0, 0.01, 40.0, 0.8, 0.2
ASKED = WORDINGS[:2]  # the third is never fitted on
GUARDED = ("right", "row")


@dataclass
class Learner:
    """Grids of every second name, and what the model says of them under its present shares.

    ``tokens``: of all names, (names,). ``see``: what stands in the place of the image tokens, (grids, tokens, width),
    for the names of the cells, (grids, 9), where names are asked for; by default, and for neighbours, their words.
    ``usual``: by wording the mean log-probability of each name.
    """

    model: Any
    processor: Any
    tokens: Tensor
    generator: torch.Generator
    see: Callable[[Tensor], Tensor] | None = None
    usual: list[Tensor] = field(default_factory=list)

    @property
    def half(self) -> Tensor:
        """Numbers of the names that grids are made of."""
        return torch.arange(0, len(self.tokens), 2)

    def drawn(self, grids: int) -> Tensor:
        """Names of the cells of so many grids, (grids, 9)."""
        return torch.stack(
            [self.half[torch.randperm(len(self.half), generator=self.generator)[:CELLS]] for _ in range(grids)]
        )

    def words(self, shown: Tensor) -> Tensor:
        """The embeddings of the names of the cells, (grids, tokens, width)."""
        embeddings: Tensor = self.model.get_input_embeddings()(self.tokens[shown])
        return embeddings.detach()[:, cell_of_token(SIDE)]

    def said(self, image: Tensor, prompts: list[list[int]]) -> Tensor:
        """Log-probabilities of what follows each of the ``prompts``, (grids, prompts, vocabulary). ``image``: what
        stands in the place of the image tokens.
        """
        alike = [len(set(ids)) == 1 for ids in zip(*prompts, strict=False)]
        shared = alike.index(False) if False in alike else len(prompts[0]) - 1
        forward = Forward(self.model, Prompts(self.processor, (build.CANVAS_PX, build.CANVAS_PX)), shared)
        head = torch.tensor(prompts[0]).expand(len(image), -1)
        inputs = {
            "input_ids": head,
            "attention_mask": torch.ones_like(head),
            "mm_encoder_outputs": {"image": BaseModelOutputWithPooling(pooler_output=image)},
        }
        asked = Asked(inputs, [[Prompt(ids, {}) for ids in prompts]] * len(image))
        return forward.continued(asked).float().log_softmax(-1)

    def named(self, shown: Tensor, wording: int) -> Tensor:
        """Log-probabilities of all names, (grids, names)."""
        ids = prompt(self.processor, SIDE * SIDE, *ASKED[wording])
        return self.said((self.see or self.words)(shown), [ids])[:, 0, self.tokens]

    def naming(self, shown: Tensor, wording: int) -> tuple[Tensor, Tensor]:
        """Of each cell: how often its name scores above one that stands nowhere, and the loss of that; (9,) each, both
        smooth.
        """
        scores = self.named(shown, wording) - self.usual[wording]
        absent = torch.zeros_like(scores, dtype=torch.bool).index_fill(1, self.half, True).scatter(1, shown, False)
        above = scores.gather(1, shown)[:, :, None] - scores[:, None]
        count = absent.sum(1)[:, None]
        share = (above.sigmoid() * absent[:, None]).sum(-1) / count
        loss = (F.softplus(-above) * absent[:, None]).sum(-1) / count
        return share.mean(0), loss.mean(0)

    def knowing(self, shown: Tensor, form: int) -> dict[str, Tensor]:
        """Of each of the ``GUARDED`` relations in one grid, (9,): how often what stands so scores above what does not,
        as :func:`studies.words.neighbours.known` has it, smooth.
        """
        question, begun = FORMS[form]
        names = [self.processor.tokenizer.decode([token]).strip() for token in self.tokens[shown].tolist()]
        prompts = [prompt(self.processor, SIDE * SIDE, question, begun.format(thing=name)) for name in names]
        logs = self.said(self.words(shown[None]), prompts)[0][:, self.tokens[shown]]
        other = ~torch.eye(CELLS, dtype=torch.bool)
        scores = logs - _mean(logs, other, 0)
        scores = scores - _mean(scores, other, 1)
        return {relation: _above(scores, relation, other) for relation in GUARDED}


def _mean(scores: Tensor, those: Tensor, over: int) -> Tensor:
    return (scores * those).sum(over, keepdim=True) / those.sum(over, keepdim=True)


def _above(scores: Tensor, relation: str, other: Tensor) -> Tensor:
    found = []
    for cell in range(CELLS):
        steps = [(one // 3 - cell // 3, one % 3 - cell % 3) in RELATIONS[relation] for one in range(CELLS)]
        so = torch.tensor(steps)
        if so.any():
            apart = scores[cell, so][:, None] - scores[cell, ~so & other[cell]]
            found.append((2 * apart).sigmoid().mean())
    return torch.stack(found).mean()


def fitted(
    model: Any,
    processor: Any,
    tokens: Tensor,
    *,
    see: Callable[[Tensor], Tensor] | None = None,
    start: str | None = None,
    steps: int = STEPS,
) -> str:
    """The label of the rule whose shares were fitted to ``model``. ``tokens``: of all names, (names,) long; ``see``: as
    :class:`Learner` has it; ``start``: the label of the rule whose shares it begins with, by default the blend's.
    """
    learner = Learner(model, processor, tokens, torch.Generator().manual_seed(SEED), see)
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    with torch.no_grad():
        shown = learner.drawn(MEANS)
        learner.usual = [
            torch.cat([learner.named(some, wording) for some in shown.split(GRIDS)]).mean(0)
            for wording in range(len(ASKED))
        ]
    begun = _begun(*sizes(model)) if start is None else _of(start, *sizes(model))
    digits = written({layer: share.detach().tolist() for layer, share in _learned(learner, begun, steps).items()})
    return parse(f"bapa:shares={digits}").label


def _begun(layers: int, heads: int, pairs: int) -> list[Tensor]:
    """Shares as the blend has them, by layer."""
    late = math.ceil(EARLY * layers)
    return [torch.full((heads * pairs,), LITTLE if layer < late else START) for layer in range(layers)]


def _of(label: str, layers: int, heads: int, pairs: int) -> list[Tensor]:
    """The shares of a fitted rule, by layer, held off 0 and 1."""
    told = dict(parse(label).effects.part.shares.layers)
    none = (0.0,) * (heads * pairs)
    shares = [torch.tensor(fractions(told[layer]) if layer in told else none) for layer in range(layers)]
    return [share.clamp(HELD, 1 - HELD) for share in shares]


def _learned(learner: Learner, begun: Sequence[Tensor], steps: int) -> Mapping[int, Tensor]:
    model = learner.model
    layers, heads, _ = sizes(model)
    wanted = [share.logit().requires_grad_() for share in begun]
    optimizer = torch.optim.Adam(wanted, lr=RATE, betas=(0.9, 0.99))
    whole = "+".join(f"{layer}:{'f' * heads}" for layer in range(layers))
    lately: Tensor | None = None  # the map so far, which is less noisy than that of a few grids
    with progress("fit of shares", steps) as step:
        for _ in range(steps):
            wording, form = (int(torch.randint(2, (1,), generator=learner.generator)) for _ in range(2))
            shown, mentioned = learner.drawn(GRIDS), learner.drawn(MENTIONED)
            with torch.no_grad():
                before = [learner.knowing(one, form) for one in mentioned]
            with balanced(model, f"bapa:shares={whole}"):
                attention.mix(model, [one.sigmoid() for one in wanted])
                share, lost = learner.naming(shown, wording)
                after = [learner.knowing(one, form) for one in mentioned]
            lately = share.detach() if lately is None else MEMORY * lately + (1 - MEMORY) * share.detach()
            apart = lately - lately.mean()
            uneven = (apart * share).sum() / apart.norm().clamp_min(1e-3)
            short = [
                F.softplus((one[name] - two[name] + MARGIN) * SHARP) / SHARP
                for one, two in zip(before, after, strict=True)
                for name in GUARDED
            ]
            kept = torch.stack(short).sum() / MENTIONED
            loss = NAMED * lost.mean() - share.mean() + EVEN * uneven + KEEP * kept
            for one, gradient in zip(wanted, torch.autograd.grad(loss, wanted), strict=True):
                one.grad = gradient
            optimizer.step()
            step()
    return {layer: one.sigmoid() for layer, one in enumerate(wanted)}
