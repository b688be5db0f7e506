"""Asking one block of canvases under every scheme."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from bapa.measure.answers import Answer, AnswerSet, from_text
from bapa.measure.batches import Canvas, Plan
from bapa.measure.forward import Asked, Forward
from bapa.measure.store import SCHEMA, Block
from bapa.models import balanced
from bapa.probe import Item, Probe, Question

Outcome = dict[str, list[Answer]]  # of one canvas: by scheme, the answer to each question


@dataclass(frozen=True)
class Prepared:
    """Canvases with their questions and pixels, ready for the model."""

    questions: list[list[Question]]
    pixels: list[NDArray[np.uint8]]
    asked: Asked


class Asker:
    """Asks the blocks of a run.

    ``labels``: the schemes. ``generate``: how many tokens the model writes; 0 reads the logits. ``audit``: how many
    canvases, spread over the run, are asked again one question at a time with nothing shared.
    """

    def __init__(
        self, forward: Forward, probe: Probe, cut: Plan, labels: Sequence[str], *, generate: int, audit: int
    ) -> None:
        self.forward = forward
        self.probe = probe
        self.cut = cut
        self.labels = labels
        self.generate = generate
        self.answers = AnswerSet(forward.prompts.processor.tokenizer)
        self.audited = set(np.linspace(0, cut.canvases - 1, min(audit, cut.canvases)).astype(int).tolist())

    def prepare(self, canvases: Sequence[Canvas]) -> Prepared | Exception:
        """Canvases ready for the model. It runs in a thread of its own, so an error is handed on instead of raised."""
        try:
            items, questions = zip(*map(self._asked, canvases), strict=True)
            pixels = [self.probe.compose(item, canvas.cell) for item, canvas in zip(items, canvases, strict=True)]
            asked = self.forward.prepare(pixels, [[question.text for question in row] for row in questions])
            return Prepared(list(questions), pixels, asked)
        except Exception as error:  # whatever it is: only the canvas it comes from shall fail
            return error

    def ask(self, number: int, prepared: Prepared | Exception) -> Block:
        """The answers to block ``number``, and the audit of those of its canvases that are to be audited."""
        canvases = self.cut.block(number)
        outcomes = self._outcomes(canvases, prepared)
        rank, rows, audit = [], [], []
        for place, (canvas, outcome) in enumerate(
            zip(canvases, outcomes, strict=True), start=number * self.cut.batch_size
        ):
            item, questions = self._asked(canvas)
            rank += [canvas.index * self.cut.cells + canvas.cell] * len(questions) * len(self.labels)
            for index, question in enumerate(questions):
                rows += [self._row(item, canvas, question, label, outcome[label][index]) for label in self.labels]
            if place in self.audited:
                audit += self._audit(canvas, outcome)
        columns = {name: [row[name] for row in rows] for name in SCHEMA.names}
        return {"block": number, "rank": rank, "answers": columns, "audit": audit}

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

    def _asked(self, canvas: Canvas) -> tuple[Item, list[Question]]:
        item = self.probe.items[canvas.index]
        return item, self.probe.questions(item, canvas.cell)

    def _outcomes(self, canvases: list[Canvas], prepared: Prepared | Exception) -> list[Outcome]:
        """Where a batch fails, its halves are asked on their own: one too large for the memory still gets through,
        and otherwise only the canvases at fault are lost.
        """
        try:
            if isinstance(prepared, Exception):
                raise prepared
            return self._together(prepared)
        except Exception as error:  # a failure is a row of its own, whatever the reason
            if len(canvases) == 1:
                failed = Answer(error=f"{type(error).__name__}: {' '.join(str(error).split())}")
                return [dict.fromkeys(self.labels, [failed] * len(self._asked(canvases[0])[1]))]
        middle = len(canvases) // 2
        return [o for half in (canvases[:middle], canvases[middle:]) for o in self._outcomes(half, self.prepare(half))]

    def _together(self, prepared: Prepared) -> list[Outcome]:
        seen = self.forward.see(prepared.asked)
        outcomes: list[Outcome] = [{} for _ in prepared.questions]
        for label in self.labels:
            with balanced(self.forward.model, label):
                answers = iter(self._read(seen, prepared.questions))
            for outcome, questions in zip(outcomes, prepared.questions, strict=True):
                outcome[label] = list(islice(answers, len(questions)))
        return outcomes

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

    def _row(self, item: Item, canvas: Canvas, question: Question, label: str, answer: Answer) -> dict[str, Any]:
        row, col = divmod(canvas.cell, self.probe.cols)
        return {
            "item": item.item,
            "cell": canvas.cell,
            "row": row,
            "col": col,
            "question": question.question_id,
            "kind": question.kind,
            "scheme": label,
            "expected": question.answer,
            **asdict(answer),
        }

    def _audit(self, canvas: Canvas, outcome: Outcome) -> list[dict[str, Any]]:
        """Each question about ``canvas`` asked alone, beside what it got in its batch."""
        item, questions = self._asked(canvas)
        entries = []
        for label in self.labels:
            with balanced(self.forward.model, label):
                for question, batched in zip(questions, outcome[label], strict=True):
                    if batched.error is None:
                        alone = self._alone(self.probe.compose(item, canvas.cell), question)
                        entries.append({**self._row(item, canvas, question, label, batched), "alone": asdict(alone)})
        return entries

    def _alone(self, pixels: NDArray[np.uint8], question: Question) -> Answer:
        if self.generate:
            return self._read(self.forward.prepare([pixels], [[question.text]]), [[question]])[0]
        return self.answers.read(self.forward.alone(pixels, question.text)[None], [question])[0]
