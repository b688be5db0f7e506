"""Asking one block of canvases under every scheme."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
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
            questions = [self._asked(canvas)[1] for canvas in canvases]
            pixels = [self.probe.compose(self._asked(canvas)[0], canvas.cell) for canvas in canvases]
            return Prepared(
                questions, pixels, self.forward.prepare(pixels, [[q.text for q in row] for row in questions])
            )
        except Exception as error:  # whatever it is: only the canvas it comes from shall fail
            return error

    def ask(self, number: int, prepared: Prepared | Exception) -> Block:
        """The answers to block ``number``, and the audit of those of its canvases that are to be audited."""
        canvases = self.cut.block(number)
        outcomes = self._outcomes(canvases, prepared)
        rank, rows = [], []
        for canvas, outcome in zip(canvases, outcomes, strict=True):
            item, questions = self._asked(canvas)
            rank += [canvas.index * self.cut.cells + canvas.cell] * len(questions) * len(self.labels)
            for index, question in enumerate(questions):
                rows += [self._row(item, canvas, question, label, outcome[label][index]) for label in self.labels]
        start = number * self.cut.batch_size
        audited = [
            self._audit(c, o)
            for i, (c, o) in enumerate(zip(canvases, outcomes, strict=True), start)
            if i in self.audited
        ]
        columns = {name: [row[name] for row in rows] for name in SCHEMA.names}
        return {
            "block": number,
            "rank": rank,
            "answers": columns,
            "audit": [entry for entries in audited for entry in entries],
        }

    def sharing_holds(self) -> bool:
        """Whether the first canvases get the same logits when their questions share a prefill as when each is asked
        alone.
        """
        prepared = self.prepare(self.cut.block(0)[:2])
        if isinstance(prepared, Exception):
            return False
        for label in {self.labels[0], self.labels[-1]}:
            with balanced(self.forward.model, label):
                try:
                    together = self.forward.logits(self.forward.see(prepared.asked))
                except Exception:  # a cache that cannot be repeated or continued, in whatever way it says so
                    return False
                for row, pixels, questions in zip(together, prepared.pixels, prepared.questions, strict=True):
                    for logits, question in zip(row, questions, strict=False):
                        if not self.forward.agrees(logits, self.forward.alone(pixels, question.text)):
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
                rows = self.forward.texts(seen, self.generate) if self.generate else self.forward.logits(seen)
            for outcome, row, questions in zip(outcomes, rows, prepared.questions, strict=True):
                outcome[label] = self._read(row, questions)
        return outcomes

    def _read(self, given: Any, questions: list[Question]) -> list[Answer]:
        if self.generate:
            return [from_text(text, question) for text, question in zip(given, questions, strict=False)]
        return self.answers.read(given[: len(questions)], questions)

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
            return self._read(
                self.forward.texts(self.forward.prepare([pixels], [[question.text]]), self.generate)[0], [question]
            )[0]
        return self._read(self.forward.alone(pixels, question.text)[None], [question])[0]
