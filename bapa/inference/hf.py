"""The transformers back end: one model in this process, put under one scheme after the other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from bapa.attach import balanced, scheme_of
from bapa.checkpoints import Loaded
from bapa.checkpoints.chat import Chat
from bapa.families.anatomy import find
from bapa.inference.answers import Answer
from bapa.inference.block import Asker, Outcome, Pixels, Prepared
from bapa.inference.forward import Asked, Forward
from bapa.inference.plan import Plan
from bapa.inference.prompts import Prompts
from bapa.inference.usual import Usual
from bapa.probe import Probe, Question
from bapa.progress import counted
from bapa.schemes import Scheme

T = TypeVar("T")


@dataclass(frozen=True)
class ModelBackend:
    """A loaded model as a :class:`~bapa.inference.backend.Backend`."""

    loaded: Loaded

    @property
    def name(self) -> str:
        return self.loaded.name

    @property
    def fingerprint(self) -> str:
        return self.loaded.fingerprint

    @property
    def processor(self) -> Any:
        return self.loaded.processor

    @property
    def chat(self) -> Chat:
        return self.loaded.chat

    @property
    def identity(self) -> dict[str, Any]:
        return self.loaded.identity

    @property
    def module(self) -> nn.Module:
        return self.loaded.model

    @property
    def scheme(self) -> Scheme | None:
        return scheme_of(self.loaded.model)

    @property
    def config(self) -> Any:
        return find(self.loaded.model).model.config

    @property
    def numerics(self) -> dict[str, Any]:
        parameter = next(self.loaded.model.parameters())
        return {"device": parameter.device.type, "dtype": str(parameter.dtype).removeprefix("torch.")}

    def check(self, label: str) -> None:
        """See :class:`~bapa.inference.backend.Backend`."""
        with balanced(self.loaded.model, label):
            pass

    @contextmanager
    def asker(
        self, prompts: Prompts, probe: Probe, plan: Plan, labels: Sequence[str], *, generate: int = 0, audit: int = 0
    ) -> Iterator[Asker]:
        """See :class:`~bapa.inference.backend.Backend`."""
        made = forward(self.loaded.model, prompts, probe, plan, labels, share=not generate)
        yield ModelAsker(made, probe, plan, labels, generate=generate, audit=audit)


def forward(
    model: nn.Module, prompts: Prompts, probe: Probe, plan: Plan, labels: Sequence[str], *, share: bool = True
) -> Forward:
    """The forward of ``model``; the questions about a canvas share its prefill where they may (``share``) and that
    changes nothing under the schemes ``labels``.
    """
    made = Forward(model, prompts, plan.shared if share else 0)
    made.usual = Usual(made, probe).of if probe.design.task == "name" else None
    if made.shared and not ModelAsker(made, probe, plan, labels, generate=0, audit=0).sharing_holds():
        made.shared = 0
    return made


class ModelAsker(Asker):
    """Asks through :class:`Forward`; see :class:`Asker` for the arguments."""

    def __init__(
        self, forward: Forward, probe: Probe, plan: Plan, labels: Sequence[str], *, generate: int, audit: int
    ) -> None:
        super().__init__(forward.prompts, probe, plan, labels, generate=generate, audit=audit)
        self.forward = forward
        self.rules = labels  # the position rules among what is asked about
        self._tokens: dict[tuple[str, str], int] = {}  # that names begin with

    @property
    def prefill(self) -> str:  # type: ignore[override]
        return "shared" if self.forward.shared else "separate"

    @property
    def attention(self) -> str | None:  # type: ignore[override]
        found: str | None = getattr(self.forward.model.config, "_attn_implementation", None)
        return found

    def sharing_holds(self) -> bool:
        """Whether questions that share a prefill get the logits they get alone: tried on the first question about the
        first canvas and the last one about the second, under every scheme.
        """
        prepared = self.prepare(self.plan.block(0)[:2])
        if isinstance(prepared, Exception):
            return False
        for label in self.labels:
            with balanced(self.forward.model, label):
                try:
                    together = self.forward.logits(self.forward.see(prepared.asked))
                except Exception:  # a cache that cannot be repeated or continued, in whatever way it says so
                    return False
                for row, pixels, questions, place in zip(
                    together, prepared.pixels, prepared.questions, (0, -1), strict=False
                ):
                    texts = _texts(questions)
                    index = place % len(texts)  # a row may be filled up with repetitions
                    if not self.forward.agrees(row[index], self.forward.alone(pixels, texts[index])):
                        return False
        return True

    def hand_over(self, pixels: list[Pixels], questions: list[list[Question]]) -> Asked:
        return self.forward.prepare(pixels, [_texts(row) for row in questions])

    def answer(self, prepared: Prepared, labels: Sequence[str]) -> list[Outcome]:
        seen = self.forward.see(prepared.asked)
        outcomes: list[Outcome] = [{} for _ in prepared.questions]
        for label in labels:
            usual = self._usual(label, prepared.questions)
            with balanced(self.forward.model, label):
                answers = iter(self._read(seen, prepared.questions, usual))
            for outcome, questions in zip(outcomes, prepared.questions, strict=True):
                outcome[label] = list(islice(answers, len(questions)))
        return outcomes

    def answer_alone(self, pixels: Pixels, questions: Sequence[Question], label: str) -> list[Answer]:
        usual = self._usual(label, [questions])
        with balanced(self.forward.model, label):
            return [self._alone(pixels, question, usual) for question in questions]

    def write_alone(self, pixels: Pixels, questions: Sequence[Question], label: str, tokens: int) -> list[str]:
        with balanced(self.forward.model, label):
            return [
                self.forward.texts(self.forward.prepare([pixels], [[question.text]]), tokens)[0][0]
                for question in questions
            ]

    def _alone(self, pixels: Pixels, question: Question, usual: Mapping[str, Tensor]) -> Answer:
        if self.generate:
            return self._read(self.forward.prepare([pixels], [[question.text]]), [[question]], usual)[0]
        return self._told(self.forward.alone(pixels, question.text)[None], [question], usual)[0]

    def settle(self, questions: Sequence[Question]) -> None:
        """See :class:`~bapa.inference.block.Asker`."""
        if self.forward.usual is not None and not self.generate:
            for label in counted(self.rules, len(self.rules), "what the model says anyway, by rule"):
                self._usual(label, [questions])

    def _usual(self, scheme: str, questions: Sequence[Sequence[Question]]) -> Mapping[str, Tensor]:
        """What names are compared with, by the text of the question; nothing where none are asked for."""
        if self.generate or self.forward.usual is None:
            return {}
        return self.forward.usual(scheme, [question.text for row in questions for question in row])

    def _read(self, seen: Asked, questions: Sequence[Sequence[Question]], usual: Mapping[str, Tensor]) -> list[Answer]:
        """The answers of all canvases in one row. ``usual``: as of :meth:`_usual`."""
        flat = [question for row in questions for question in row]
        if self.generate:
            texts = self.forward.texts(seen, self.generate)
            kept = [text for row, asked in zip(texts, questions, strict=True) for text in _each(row, asked)]
            return [self.said(text, question) for text, question in zip(kept, flat, strict=True)]
        logits = self.forward.logits(seen)
        each = [one for row, asked in zip(logits, questions, strict=True) for one in _each(row, asked)]
        return self._told(torch.stack(each), flat, usual)

    def _told(self, logits: Tensor, questions: Sequence[Question], usual: Mapping[str, Tensor]) -> list[Answer]:
        """The answers in ``logits``, (questions, vocabulary)."""
        if not usual:
            return self.answers.read(logits, questions)
        found = []
        for row, question in zip(logits, questions, strict=True):
            if (text := (question.text, question.name)) not in self._tokens:
                self._tokens[text] = self.prompts.begins(*text)
            found.append(self.answers.read_name(row, question, self._tokens[text], usual[question.text]))
        return found


def _texts(questions: Sequence[Question]) -> list[str]:
    """What is asked about a canvas; the same words are asked once."""
    return list(dict.fromkeys(question.text for question in questions))


def _each(row: Sequence[T], questions: Sequence[Question]) -> list[T]:
    """Of what was found for each of :func:`_texts`, that of each question."""
    texts = _texts(questions)
    return [row[texts.index(question.text)] for question in questions]
