"""The shares of a rule, found by gradient: names of what is there above names of what is not, equally in every cell,
and of neighbours no less than the model knows natively. No weight of the model changes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from bapa.attach import attention, balanced, scheme_of
from bapa.calibrate.fit import frozen, sizes, whole
from bapa.calibrate.words.reader import CELLS, MENTIONS, OPENINGS, Reader
from bapa.errors import ModelError, RunError
from bapa.files import replacing
from bapa.progress import progress
from bapa.schemes import parse
from bapa.schemes.shares import fractions, written

STEPS, MORE, RATE = 90, 40, 0.15  # MORE: steps on pictures
GRIDS, MENTIONED, MEANS = 6, 2, 24  # grids a step, grids a step asked about neighbours, grids of the names' means
EARLY, START, LITTLE, HELD = 0.2, 0.6, 0.05, 0.02  # it begins with LITTLE up to a fifth of the depth, then START
EVEN, KEEP, MARGIN, SHARP, MEMORY, NAMED = 1.0, 2.0, 0.01, 40.0, 0.8, 0.2
ASKED = OPENINGS[:2]  # the third is for judging
RELATIONS = {  # rows and columns from the mentioned thing to those that stand so
    "right": {(0, 1)},
    "left": {(0, -1)},
    "row": {(0, -2), (0, -1), (0, 1), (0, 2)},
    "below": {(1, 0)},
    "above": {(-1, 0)},
}
GUARDED = ("right", "row")
KEPT, ADAM = 10, ("step", "exp_avg", "exp_avg_sq")
Known = Callable[[], Mapping[str, Tensor]]  # how much is known under the present rule, 0 to 1, by what is asked


@dataclass
class Learner:
    """Grids of half of the names, and what the model says of them under its present shares.

    ``pictures``: reads the same names, of pictures, where names are asked for; by default, and for neighbours, they
    are read of words. ``guard``: draws what must still be known, anew at every step; by default neighbours. ``usual``:
    by wording the mean log-probability of each name.
    """

    reader: Reader
    generator: torch.Generator
    pictures: Reader | None = None
    guard: Callable[[torch.Generator], Sequence[Known]] | None = None
    usual: list[Tensor] = field(default_factory=list)

    def drawn(self, grids: int) -> Tensor:
        """Names of the cells of so many grids, (grids, 9), of the half of the names that fits see."""
        half = self.reader.half
        return torch.stack([half[torch.randperm(len(half), generator=self.generator)[:CELLS]] for _ in range(grids)])

    def named(self, grids: Tensor, wording: int) -> Tensor:
        """Log-probabilities of all names, (grids, names)."""
        shown = self.pictures or self.reader
        return shown.naming(shown.drawn(grids), ASKED[wording : wording + 1])[:, 0]

    def naming(self, grids: Tensor, wording: int) -> tuple[Tensor, Tensor]:
        """Of each cell: how often its name scores above one that stands nowhere, and the loss of that; (9,) each, both
        smooth.
        """
        scores = self.named(grids, wording) - self.usual[wording]
        absent = (
            torch.zeros_like(scores, dtype=torch.bool).index_fill(1, self.reader.half, True).scatter(1, grids, False)
        )
        above = scores.gather(1, grids)[:, :, None] - scores[:, None]
        count = absent.sum(1)[:, None]
        share = (above.sigmoid() * absent[:, None]).sum(-1) / count
        loss = (F.softplus(-above) * absent[:, None]).sum(-1) / count
        return share.mean(0), loss.mean(0)

    def guarded(self, form: int) -> Sequence[Known]:
        """What must still be known after a step. ``form``: of the mention, where neighbours are guarded."""
        if self.guard is not None:
            return self.guard(self.generator)
        return [partial(self.knowing, grid, form) for grid in self.drawn(MENTIONED)]

    def knowing(self, grid: Tensor, form: int) -> dict[str, Tensor]:
        """Of each of the ``GUARDED`` relations in one grid, (9,): how often, after a mention, what stands so scores
        above what does not, smooth.
        """
        scores = centred(self.reader.mentioning(grid, MENTIONS[form]))
        return {relation: above(scores, relation, smooth=True) for relation in GUARDED}


def centred(logs: Tensor) -> Tensor:
    """Log-probabilities, (9 mentions, 9 things), less the mean of each thing over other mentions and of each mention
    over other things, so that a cell which is always favoured gains nothing.
    """
    other = ~torch.eye(CELLS, dtype=torch.bool)
    scores = logs - (logs * other).sum(0, keepdim=True) / other.sum(0)
    return scores - (scores * other).sum(1, keepdim=True) / other.sum(1, keepdim=True)


def above(scores: Tensor, relation: str, *, smooth: bool) -> Tensor:
    """How often, over mentions, a thing that stands so scores above another that does not, ties half."""
    found = []
    for cell in range(CELLS):
        so = torch.tensor([(one // 3 - cell // 3, one % 3 - cell % 3) in RELATIONS[relation] for one in range(CELLS)])
        if so.any():
            others = ~so & (torch.arange(CELLS) != cell)
            apart = scores[cell, so][:, None] - scores[cell, others]
            found.append(((2 * apart).sigmoid() if smooth else (apart.sign() + 1) / 2).mean())
    return torch.stack(found).mean()


def fitted(
    reader: Reader,
    *,
    seed: int = 0,
    steps: int = STEPS,
    pictures: Reader | None = None,
    guard: Callable[[torch.Generator], Sequence[Known]] | None = None,
    start: str | None = None,
    kept: Path | None = None,
    of: str = "bapa",
) -> str:
    """The label of the rule whose shares were fitted to the model of ``reader``, whatever it stands under; native where
    no head takes any share.

    ``pictures``, ``guard``: as :class:`Learner` has them. ``start``: the label of the rule whose shares it begins with;
    ``kept``: the file where each tenth step is kept, and from which it goes on; ``of``: the scheme that heads take
    shares of.

    Raises SchemeError where the model's layers do not hold their heads alike, or cannot mix scores; ModelError where
    its arithmetic overflows.
    """
    learner = Learner(reader, torch.Generator().manual_seed(seed), pictures, guard)
    with torch.no_grad(), balanced(reader.model, "native"):
        drawn = learner.drawn(MEANS)
        learner.usual = [
            torch.cat([learner.named(some, wording) for some in drawn.split(GRIDS)]).mean(0)
            for wording in range(len(ASKED))
        ]
    layers, heads, pairs = sizes(reader.model)
    begun = _begun(layers, heads * pairs) if start is None else _of(start, layers, heads * pairs)
    with frozen(reader.model), balanced(reader.model, "native"):
        learned = _learned(learner, Steps(begun, kept), f"{of}:shares={whole(layers, heads)}", steps)
    digits = written({layer: share.tolist() for layer, share in learned.items()})
    return parse(f"{of}:shares={digits}" if digits else "native").label


def check(reader: Reader) -> None:
    """Read one grid under shares of every head: raises SchemeError where none can be fitted, before anything is
    written.
    """
    layers, heads, _ = sizes(reader.model)
    with torch.no_grad(), balanced(reader.model, f"bapa:shares={whole(layers, heads)}"):
        reader.naming(reader.drawn(torch.arange(CELLS)[None]), ASKED[:1])


def fitted_before(model: nn.Module) -> str | None:
    """The label of the rule that ``model`` stands under, where a fit could begin with it."""
    label = str(scheme_of(model) or "native")
    if not label.startswith("bapa:shares=") or "," in label:
        return None
    layers, heads, pairs = sizes(model)
    told = parse(label).effects.part.shares.layers
    alike = all(layer in layers and len(digits) == heads * pairs for layer, digits in told)
    return label if alike else None


def _begun(layers: Sequence[int], shares: int) -> dict[int, Tensor]:
    late = math.ceil(EARLY * (max(layers) + 1))
    return {layer: torch.full((shares,), LITTLE if layer < late else START) for layer in layers}


def _of(label: str, layers: Sequence[int], shares: int) -> dict[int, Tensor]:
    """The shares of a fitted rule, by layer, held off 0 and 1."""
    told = dict(parse(label).effects.part.shares.layers)
    found = {layer: fractions(told[layer]) if layer in told else (0.0,) * shares for layer in layers}
    return {layer: torch.tensor(share).clamp(HELD, 1 - HELD) for layer, share in found.items()}


class Steps:
    """Shares before the sigmoid, by layer, with Adam's memory and the map so far; kept in a file now and then."""

    def __init__(self, begun: Mapping[int, Tensor], kept: Path | None) -> None:
        self.wanted = {layer: share.logit().requires_grad_() for layer, share in begun.items()}
        self.optimizer = torch.optim.Adam(self.wanted.values(), lr=RATE, betas=(0.9, 0.99))
        self.lately: Tensor | None = None  # less noisy than the map of a few grids
        self.done, self.kept = 0, kept

    def uneven(self, share: Tensor) -> Tensor:
        """How far the map ``share``, (9,), lies along the unevenness of the map so far."""
        now = share.detach()
        self.lately = now if self.lately is None else MEMORY * self.lately + (1 - MEMORY) * now
        apart = self.lately - self.lately.mean()
        return (apart * share).sum() / apart.norm().clamp_min(1e-3)

    def part(self, model: nn.Module, lost: Callable[[], Tensor]) -> None:
        """Add the gradients of a part of the loss, computed under the present shares. One part after the other, so that
        the memory holds the graph of one.

        Raises ModelError where they are not finite.
        """
        attention.mix(model, {layer: one.sigmoid() for layer, one in self.wanted.items()})
        for one, more in zip(self.wanted.values(), torch.autograd.grad(lost(), [*self.wanted.values()]), strict=True):
            if not more.isfinite().all():
                narrow = next(model.parameters()).dtype not in (torch.float32, torch.float64)
                wider = "; use a wider type: --dtype float32" if narrow else ""
                raise ModelError(f"step {self.done + 1} of the fit gives numbers that are not finite{wider}")
            one.grad = more if one.grad is None else one.grad + more

    def step(self, generator: torch.Generator) -> None:
        """One step down the loss."""
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.done += 1
        if self.kept is not None and self.done % KEPT == 0 and self.lately is not None:
            state = {"lately": self.lately, "draws": generator.get_state(), "done": torch.tensor(self.done)}
            for layer, one in self.wanted.items():
                told = {"share": one.detach(), **self.optimizer.state[one]}
                state |= {f"{layer}.{name}": value.clone() for name, value in told.items()}
            with replacing(self.kept) as part:
                save_file(state, part)

    def resume(self, generator: torch.Generator) -> None:
        """Go on from the file, where there is one."""
        if self.kept is None or not self.kept.is_file():
            return
        names = [f"{layer}.{name}" for layer in self.wanted for name in ("share", *ADAM)]
        state = read_tensors(self.kept, "done", "lately", "draws", *names)
        self.done, self.lately = int(state["done"]), state["lately"]
        generator.set_state(state["draws"])
        with torch.no_grad():
            for layer, one in self.wanted.items():
                one.copy_(state[f"{layer}.share"])
                self.optimizer.state[one] = {name: state[f"{layer}.{name}"] for name in ADAM}


def read_tensors(path: Path, *needed: str) -> dict[str, Tensor]:
    """The tensors that a fit or its judging kept. ``needed``: names that they have.

    Raises RunError where the file is damaged.
    """
    try:
        found = load_file(path)
    except (SafetensorError, OSError):
        found = None
    if found is None or not found.keys() >= {*needed}:
        raise RunError(f"{path} is damaged; delete it, and the same command makes it again")
    return found


def _learned(learner: Learner, steps: Steps, rule: str, count: int) -> Mapping[int, Tensor]:
    model, draws = learner.reader.model, learner.generator
    steps.resume(draws)

    def even(drawn: Tensor, wording: int) -> Tensor:
        share, lost = learner.naming(drawn, wording)
        return NAMED * lost.mean() - share.mean() + EVEN * steps.uneven(share)

    def short(known: Known, native: Mapping[str, Tensor], among: int) -> Tensor:
        """How far what is known falls short of ``native``."""
        lost = [F.softplus((native[name] - now + MARGIN) * SHARP) / SHARP for name, now in known().items()]
        return KEEP * torch.stack(lost).sum() / among

    with progress("fit of shares", count, steps.done) as step:
        while steps.done < count:
            wording, form = (int(torch.randint(2, (1,), generator=draws)) for _ in range(2))
            drawn, guarded = learner.drawn(GRIDS), learner.guarded(form)
            with torch.no_grad():
                before = [known() for known in guarded]
            with balanced(model, rule):
                steps.part(model, partial(even, drawn, wording))
                for known, native in zip(guarded, before, strict=True):
                    steps.part(model, partial(short, known, native, len(guarded)))
            steps.step(draws)
            step()
    return {layer: one.detach().sigmoid() for layer, one in steps.wanted.items()}
