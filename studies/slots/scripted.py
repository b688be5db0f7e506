"""A model that answers by a script: it looks at no picture, and says yes as often as planted in each slot."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from scipy.special import logit
from sklearn.metrics import roc_auc_score

from bapa.checkpoints.chat import Chat
from bapa.inference.answers import Answer
from bapa.inference.block import Asker, Outcome, Pixels, Prepared
from bapa.inference.plan import Canvas, Plan
from bapa.inference.prompts import Prompts
from bapa.probe import Probe, Question
from bapa.probe.design import INDICES
from bapa.probe.digits import DIGITS
from bapa.probe.questions import YES_NO

ALARM = 0.05  # rate of yes to what is not there
SPREAD = 1.0  # standard deviation of an item's ease, in logits
NOT_THERE = ("absent", "lure", "near_miss")
_ANSWERS = (*YES_NO, *DIGITS, *INDICES, *"ABCDEFGHIJKL", "top", "middle", "bottom", "left", "right", *"123456789")
_WORDS = 1000  # further words of the tokenizer
_PICTURE, _TOKENS = "<picture>", 4  # what stands for a picture or clip in a prompt, and its tokens


class Tokenizer:
    """Words to numbers; the answers are one token each."""

    bos_token = None
    unk_token_id = None
    pad_token_id = 0

    def __init__(self) -> None:
        self.vocabulary = {word: number for number, word in enumerate(dict.fromkeys((_PICTURE, *_ANSWERS)))}

    def get_vocab(self) -> dict[str, int]:
        return self.vocabulary

    def __call__(self, text: str, **options: Any) -> dict[str, list[int]]:
        number = len(self.vocabulary)
        ids = [
            self.vocabulary.get(word, number + zlib.crc32(word.encode()) % _WORDS)
            for word in text.replace("?", " ?").split()
        ]
        return {"input_ids": ids}


class Processor:
    """What a processor makes of a prompt; it takes any number of pictures, and clips."""

    chat_template = "of its own"
    video_processor = SimpleNamespace(temporal_patch_size=1)

    def __init__(self) -> None:
        self.tokenizer = Tokenizer()

    def apply_chat_template(self, chat: Any, **options: Any) -> str:
        return " ".join(part.get("text") or _PICTURE for message in chat for part in message["content"])

    def __call__(self, *, text: list[str], **given: Any) -> dict[str, Any]:
        rows = [self.tokenizer(one)["input_ids"] for one in text]
        shown = self.tokenizer.vocabulary[_PICTURE]
        long = [[token for one in row for token in [one] * (_TOKENS if one == shown else 1)] for row in rows]
        return {"input_ids": torch.tensor(long)}


@dataclass(frozen=True)
class Scripted:
    """A :class:`~bapa.inference.backend.Backend`. ``rates``: by scheme, the hit rate of an item of average ease in each
    slot; ``seed``: of all draws.
    """

    rates: Mapping[str, NDArray[np.float64]]
    seed: int = 0

    name = "a script"
    module = None
    scheme = None
    chat = Chat()
    config = SimpleNamespace(get_text_config=lambda: SimpleNamespace(max_position_embeddings=None))

    @property
    def fingerprint(self) -> str:
        return f"script {self.seed}"

    @property
    def identity(self) -> dict[str, Any]:
        return {"name": self.name, "fingerprint": self.fingerprint}

    @property
    def processor(self) -> Processor:
        return Processor()

    @property
    def numerics(self) -> dict[str, Any]:
        return {}

    def check(self, label: str) -> None:
        """Every scheme of the script will do."""

    @contextmanager
    def asker(
        self, prompts: Prompts, probe: Probe, plan: Plan, labels: Sequence[str], *, generate: int = 0, audit: int = 0
    ) -> Iterator[Asker]:
        """See :class:`~bapa.inference.backend.Backend`."""
        yield Reader(self, prompts, probe, plan, labels)


class Reader(Asker):
    """Reads the answers off the script."""

    prefill = "none"

    def __init__(self, script: Scripted, prompts: Prompts, probe: Probe, plan: Plan, labels: Sequence[str]) -> None:
        super().__init__(prompts, probe, plan, labels, generate=0, audit=0)
        self.script = script

    def prepare(self, canvases: Sequence[Canvas]) -> Prepared:
        """The questions; nothing is composed, as nothing is looked at."""
        return Prepared([self._asked(canvas)[1] for canvas in canvases], [], None)

    def answer_block(self, canvases: Sequence[Canvas], prepared: Prepared, labels: Sequence[str]) -> list[Outcome]:
        return [
            {label: [self._said(canvas, question, label) for question in asked] for label in labels}
            for canvas, asked in zip(canvases, prepared.questions, strict=True)
        ]

    def hand_over(self, pixels: list[Pixels], questions: list[list[Question]]) -> Any:
        raise NotImplementedError

    answer = answer_alone = write_alone = hand_over  # type: ignore[assignment]

    def _said(self, canvas: Canvas, question: Question, label: str) -> Answer:
        own = [self.script.seed, canvas.index, canvas.cell, *question.question_id.encode(), *label.encode()]
        rate = ALARM if question.kind in NOT_THERE else self.script.rates[label][canvas.cell]
        ease = np.random.default_rng([self.script.seed, canvas.index]).normal(0, SPREAD)
        margin = float(logit(rate) + ease + np.random.default_rng(own).logistic())
        if question.choices == YES_NO:
            given = "yes" if margin > 0 else "no"
        else:
            others = [choice for choice in question.choices if choice != question.answer]
            given = question.answer if margin > 0 else others[0]
        return Answer(given, given == question.answer, margin, 1.0)


def redrawn(answers: pd.DataFrame, rates: Mapping[str, NDArray[np.float64]], seed: int) -> pd.DataFrame:
    """The questions of a run by yes and no with answers drawn anew by the rule of :class:`Scripted`."""
    rng = np.random.default_rng([*b"redrawn", seed])
    ease = rng.normal(0, SPREAD, answers["item"].max() + 1)[answers["item"]]
    asked = [rates[label][cell] for label, cell in zip(answers["scheme"], answers["cell"], strict=True)]
    there = ~answers["kind"].isin(NOT_THERE)
    margin = logit(np.where(there, asked, ALARM)) + ease + rng.logistic(size=len(answers))
    given = np.where(margin > 0, *YES_NO)
    return answers.assign(answer=given, correct=(margin > 0) == there, margin=margin)


def true_auc(rates: NDArray[np.float64], items: int = 200_000) -> NDArray[np.float64]:
    """The area under the ROC curve that the script plants in each slot, (slots,), from a large population."""
    rng = np.random.default_rng(9)
    found = []
    for rate in rates:
        yes, no = (logit(p) + rng.normal(0, SPREAD, items) + rng.logistic(size=items) for p in (rate, ALARM))
        found.append(roc_auc_score(np.repeat([1, 0], items), np.concatenate([yes, no])))
    return np.array(found)
