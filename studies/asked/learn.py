"""Learning to say whether a thing is there, beside captions; scenes as in the trainings of `studies/pretrained`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
import torch.nn.functional as F
from sklearn.metrics import roc_auc_score
from torch import Tensor

from bapa.calibrate.words.reader import CELLS
from studies.pretrained import scenes
from studies.pretrained.arms import Arm
from studies.pretrained.parts import TRAINED
from studies.pretrained.scenes import MATCH, TOLD, Asker, Placement
from studies.taught.learn import Pupil
from studies.taught.lessons import Lesson, Subject, shuffled

THINGS, FULL, QUESTIONS = (1, CELLS - 1), (CELLS, CELLS), 8  # a full grid is never learned from
HELD_OUT = (len(TRAINED),)


@dataclass(frozen=True)
class Presence(Subject):
    """``placement``: where the main thing stands, and which things are asked about."""

    placement: Placement = "uniform"


class Learner(Pupil):
    """Learns from questions whether a thing is there, and from captions, which count the same."""

    subject: Presence

    @cached_property
    def asker(self) -> Asker:
        """Writes questions about the things named by one token."""
        captions = self.reader.bench.asker.captions
        return Asker(self.reader.loaded.processor, [captions[thing] for thing in self.reader.named.thing.tolist()])

    def draw(self, count: int, generator: torch.Generator) -> Lesson:
        """Pictures of up to eight things by the hands learned from; a caption and questions about each."""
        return lesson(self.reader, self.asker, self.subject, count, generator)

    def trial(self, count: int, generator: torch.Generator) -> Lesson:
        """Full grids by the hand never learned from, and questions about each."""
        return lesson(self.reader, self.asker, self.subject, count, generator, trial=True)

    def loss(self, one: Lesson) -> Tensor:
        """Mean cross-entropy of the answers, plus that of the captions."""
        lost = F.cross_entropy(self.logits(one), one.rows.target, reduction="none")
        of: list[Tensor] = [lost[one.rows.kind == kind].mean() for kind in (MATCH, TOLD)]
        return of[0] + of[1]

    @torch.no_grad()
    def right(self, tried: Sequence[Lesson]) -> float:
        """AUC of yes against no."""
        margin, there = [], []
        for one in tried:
            logits = self.logits(one)
            margin.append(logits[:, self.asker.yes] - logits[:, self.asker.no])
            there.append(one.rows.target == self.asker.yes)
        return float(roc_auc_score(torch.cat(there).numpy(), torch.cat(margin).numpy()))


def lesson(
    reader: Any, asker: Asker, subject: Presence, count: int, generator: torch.Generator, trial: bool = False
) -> Lesson:
    """``count`` pictures and what is asked about them: to learn from, or for a ``trial``."""
    things, hands, kinds = (FULL, HELD_OUT, (MATCH,)) if trial else (THINGS, range(len(TRAINED)), (MATCH, TOLD))
    placement: Placement = "uniform" if trial else subject.placement
    named = reader.named.thing
    drawn = scenes.draw(reader.bench.there[:, named], count, things, placement, generator, hands)
    asked = [
        [block for block in blocks if block[2] in kinds]
        for blocks in asker.blocks(drawn, QUESTIONS, placement, generator)
    ]
    thing = torch.where(drawn.thing < 0, -1, named[drawn.thing.clamp(min=0)])
    shown = scenes.Scenes(thing, drawn.hand, drawn.main, drawn.shown)
    pixels = (scenes.paint(shown, reader.bench.atlas, generator, plain=trial) - 127) / 128
    with torch.no_grad():
        image = reader.loaded.model.model.get_image_features(pixels).pooler_output
    rows = asker.pack(asked)
    number = torch.arange(len(rows.target))  # every answer counts
    among = rows.target[:, None].expand(-1, 3)
    return Lesson(rows, shuffled(image, generator) if subject.shuffled else image, number, among)


def subject(arm: Arm) -> Presence:
    """What an arm of `studies/pretrained` learns from."""
    return Presence(scheme=arm.scheme, shuffled=arm.shuffled, placement=arm.placement)
