"""A projector that learns, token by token and without the language model, to name what the encoder saw."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import AutoProcessor, FastVlmForConditionalGeneration

from bapa.calibrate.words.reader import CELLS
from bapa.probe.questions import bare
from bapa.progress import progress
from studies.pretrained import build, scenes
from studies.pretrained.learner import Bench
from studies.pretrained.parts import TRAINED
from studies.words.ask import cell_of_token

LEARNED, STEPS, TOKENS, RATE, DECAY, TEMPERATURE = 2000, 1500, 2048, 2e-3, 0.01, 0.1
_AT_ONCE = 40


@dataclass(frozen=True)
class Named:
    """The things named by one token behind a space. ``thing``: their numbers on the bench, ``token``: of their names,
    ``embedding``: of those, (things, width) float32.
    """

    thing: Tensor
    token: Tensor
    embedding: Tensor

    @classmethod
    def of(cls, bench: Bench) -> Named:
        """Those of the bench, in the order of its drawings."""
        written = [
            bench.asker.tokenizer.encode(f" {bare(caption)}", add_special_tokens=False)
            for caption in bench.asker.captions
        ]
        thing = torch.tensor([number for number, ids in enumerate(written) if len(ids) == 1])
        token = torch.tensor([ids[0] for ids in written if len(ids) == 1])
        return cls(thing, token, bench.model.get_input_embeddings()(token).detach().float())

    def number(self) -> Tensor:
        """Which of the named things each thing of the bench is, for those that are."""
        found = torch.zeros(int(self.thing.max()) + 1, dtype=torch.long)
        found[self.thing] = torch.arange(len(self.thing))
        return found


def pictures(bench: Bench, named: Named, count: int, generator: torch.Generator, held_out: bool) -> scenes.Scenes:
    """Full grids of nine different named things each, by the hands trained on or by the one that is held out."""
    which = torch.stack([torch.randperm(len(named.thing), generator=generator)[:CELLS] for _ in range(count)])
    shown = named.thing[which]
    drawn = torch.randint(len(TRAINED), shown.shape, generator=generator)
    hand = torch.full_like(shown, len(TRAINED)) if held_out else torch.where(bench.there[drawn, shown], drawn, 0)
    none = torch.zeros(count, dtype=torch.long)
    return scenes.Scenes(shown, hand, none, none + CELLS)


def part(drawn: scenes.Scenes, rows: slice) -> scenes.Scenes:
    """Some of the pictures."""
    return scenes.Scenes(drawn.thing[rows], drawn.hand[rows], drawn.main[rows], drawn.shown[rows])


def learn(bench: Bench, named: Named, seed: int) -> FastVlmForConditionalGeneration:
    """The bench's model with a projector of this ``seed``."""
    generator = torch.Generator().manual_seed(seed)
    drawn = pictures(bench, named, LEARNED, generator, held_out=False)
    seen = []
    with progress("pictures seen by the encoder", LEARNED) as step:
        for start in range(0, LEARNED, _AT_ONCE):
            some = bench.encode(part(drawn, slice(start, start + _AT_ONCE)), generator)
            seen.append(some.to(torch.float16))
            for _ in some:
                step()
    features = torch.cat(seen).flatten(0, 1)
    target = named.number()[drawn.thing][:, cell_of_token(build.GRID)].flatten()

    level = named.embedding.mean(0)
    centred = named.embedding - level
    spread = centred.std()
    directions = F.normalize(centred, dim=1)
    middle, width = features.float().mean(0), features.float().std(0) + 1e-3
    torch.manual_seed(seed)
    hidden = named.embedding.shape[1]
    first, last = nn.Linear(features.shape[1], hidden), nn.Linear(hidden, hidden)
    net = nn.Sequential(first, nn.GELU(), last)
    optimizer = torch.optim.AdamW(net.parameters(), lr=RATE, weight_decay=DECAY)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, STEPS)
    with progress("steps of the projector", STEPS) as step:
        for _ in range(STEPS):
            rows = torch.randint(len(features), (TOKENS,), generator=generator)
            told = net((features[rows].float() - middle) / width)
            named_right = F.cross_entropy(F.normalize(told, dim=1) @ directions.T / TEMPERATURE, target[rows])
            loss = named_right + ((told - centred[target[rows]] / spread) ** 2).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            step()
    with torch.no_grad():
        told = net((features[: scenes.TOKENS * 200].float() - middle) / width)
        scale = centred.norm(dim=1).mean() / told.norm(dim=1).mean()
        model = bench.model
        projector = model.model.multi_modal_projector
        projector.linear_1.weight.copy_(first.weight / width)
        projector.linear_1.bias.copy_(first.bias - first.weight @ (middle / width))
        projector.linear_2.weight.copy_(last.weight * scale)
        projector.linear_2.bias.copy_(last.bias * scale + level)
        projector.act = nn.GELU()
    model.config.projector_hidden_act = "gelu"
    return model


def folder(bench: Bench, out: Path, seed: int) -> Path:
    """``out``, the ordinary model folder of this seed's projector, made where it is missing."""
    if not out.is_dir():
        model = learn(bench, Named.of(bench), seed)
        partial = out.with_name(f"{out.name}.partial")
        model.save_pretrained(partial)
        AutoProcessor.from_pretrained(bench.home).save_pretrained(partial)
        partial.rename(out)
    return out
