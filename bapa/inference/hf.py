"""The transformers back end: one model in this process, put under one scheme after the other."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

import torch

from bapa.attach import balanced
from bapa.inference.answers import Answer, from_text
from bapa.inference.block import Asker, Outcome, Pixels, Prepared
from bapa.inference.forward import Asked, Forward
from bapa.inference.plan import Plan
from bapa.probe import Probe, Question


class ModelAsker(Asker):
    """Asks through :class:`Forward`; see :class:`Asker` for the arguments."""

    def __init__(
        self, forward: Forward, probe: Probe, cut: Plan, labels: Sequence[str], *, generate: int, audit: int
    ) -> None:
        super().__init__(forward.prompts, probe, cut, labels, generate=generate, audit=audit)
        self.forward = forward

    @property
    def prefill(self) -> str:  # type: ignore[override]
        return "shared" if self.forward.shared else "separate"

    def sharing_holds(self) -> bool:
        """Whether questions that share a prefill get the logits they get alone: tried on the first question about the
        first canvas and the last one about the second, under every scheme.
        """
        prepared = self.prepare(self.cut.block(0)[:2])
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
                    index = place % len(questions)  # a row may be filled up with repetitions
                    if not self.forward.agrees(row[index], self.forward.alone(pixels, questions[index].text)):
                        return False
        return True

    def hand_over(self, pixels: list[Pixels], questions: list[list[Question]]) -> Asked:
        return self.forward.prepare(pixels, [[question.text for question in row] for row in questions])

    def answer(self, prepared: Prepared, labels: Sequence[str]) -> list[Outcome]:
        seen = self.forward.see(prepared.asked)
        outcomes: list[Outcome] = [{} for _ in prepared.questions]
        for label in labels:
            with balanced(self.forward.model, label):
                answers = iter(self._read(seen, prepared.questions))
            for outcome, questions in zip(outcomes, prepared.questions, strict=True):
                outcome[label] = list(islice(answers, len(questions)))
        return outcomes

    def answer_alone(self, pixels: Pixels, questions: Sequence[Question], label: str) -> list[Answer]:
        with balanced(self.forward.model, label):
            return [self._alone(pixels, question) for question in questions]

    def _alone(self, pixels: Pixels, question: Question) -> Answer:
        if self.generate:
            return self._read(self.forward.prepare([pixels], [[question.text]]), [[question]])[0]
        return self.answers.read(self.forward.alone(pixels, question.text)[None], [question])[0]

    def _read(self, seen: Asked, questions: Sequence[Sequence[Question]]) -> list[Answer]:
        """The answers of all canvases in one row; of a canvas with fewer questions than others, the repeated ones are
        left out.
        """
        flat = [question for row in questions for question in row]
        if self.generate:
            texts = self.forward.texts(seen, self.generate)
            kept = [text for row, asked in zip(texts, questions, strict=True) for text in row[: len(asked)]]
            return [from_text(text, question) for text, question in zip(kept, flat, strict=True)]
        logits = self.forward.logits(seen)
        return self.answers.read(
            torch.cat([row[: len(asked)] for row, asked in zip(logits, questions, strict=True)]), flat
        )
