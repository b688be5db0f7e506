"""Asking one block of canvases under the schemes of a run, whatever the back end."""

from __future__ import annotations

import gc
import sys
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from bapa.errors import RunError
from bapa.inference.answers import Answer, AnswerSet
from bapa.inference.plan import Canvas, Plan
from bapa.inference.pointing import UNITS
from bapa.inference.prompts import Prompts
from bapa.inference.reading import THOUGHT, from_text
from bapa.inference.store import SCHEMA, Block
from bapa.probe import Item, Probe, Question

WRITTEN = 16  # tokens that the model may write where logits are compared with words
Pixels = NDArray[np.uint8]  # (height, width, 3)
Outcome = dict[str, list[Answer]]  # of one canvas: by scheme, the answer to each question


@dataclass(frozen=True)
class Prepared:
    """Canvases with their questions and pixels. ``asked``: the same as the back end takes it."""

    questions: list[list[Question]]
    pixels: list[Pixels]
    asked: Any


class Asker(ABC):
    """Asks the blocks of a run.

    ``labels``: the schemes. ``generate``: how many tokens the model writes; 0 reads the logits. ``audit``: how many
    canvases, spread over the run, are asked again one question at a time with nothing shared, and where logits are read
    the model also writes its answers to them. ``prefill``: whether
    questions about one canvas share its prefill; ``versions``: of what the back end stands on; both for the record.
    """

    prefill: str
    together = 1  # canvases that must not be asked apart
    versions: Mapping[str, str] = {}
    attention: str | None = None  # how transformers computes it, for the record

    def __init__(
        self, prompts: Prompts, probe: Probe, plan: Plan, labels: Sequence[str], *, generate: int, audit: int
    ) -> None:
        self.prompts = prompts
        self.probe = probe
        self.plan = plan
        self.labels = labels
        self.generate = generate
        self.at_once: int | None = None  # canvases that fit the memory, where those of a block did not
        self.answers = AnswerSet(prompts.processor.tokenizer)
        self.unit = UNITS.get(type(prompts.processor).__name__)  # what its numbers count where it points
        self.audited = set(np.linspace(0, plan.canvases - 1, min(audit, plan.canvases)).astype(int).tolist())

    def __len__(self) -> int:
        """The number of blocks."""
        return len(self.plan)

    def part(self, number: int) -> tuple[int, Sequence[str]]:
        """What block ``number`` asks: a block of canvases, by its number in the plan, and the schemes."""
        return number, self.labels

    def settle(self, questions: Sequence[Question]) -> None:  # noqa: B027 (most ask nothing beforehand)
        """Ask beforehand what is asked once for a whole run, with progress, so that what follows can be timed.
        ``questions``: the first of the probe.
        """

    @abstractmethod
    def hand_over(self, pixels: list[Pixels], questions: list[list[Question]]) -> Any:
        """Canvases and their questions as :meth:`answer` takes them; it must not touch the model."""

    def answer_block(self, canvases: Sequence[Canvas], prepared: Prepared, labels: Sequence[str]) -> list[Outcome]:
        """The answers about ``canvases``, which are ``prepared``."""
        return self.answer(prepared, labels)

    @abstractmethod
    def answer(self, prepared: Prepared, labels: Sequence[str]) -> list[Outcome]:
        """The answers about all canvases at once."""

    @abstractmethod
    def answer_alone(self, pixels: Pixels, questions: Sequence[Question], label: str) -> list[Answer]:
        """The answers to questions about one canvas under one scheme, each asked with nothing shared."""

    @abstractmethod
    def write_alone(self, pixels: Pixels, questions: Sequence[Question], label: str, tokens: int) -> list[str]:
        """What the model writes to questions about one canvas under one scheme, at most ``tokens`` tokens each."""

    def prepare(self, canvases: Sequence[Canvas]) -> Prepared | Exception:
        """Canvases ready for the model. It runs in a thread of its own, so an error is handed on instead of raised."""
        try:
            items, asked = zip(*map(self._asked, canvases), strict=True)
            pixels = [self.probe.compose(item, canvas.cell) for item, canvas in zip(items, canvases, strict=True)]
            questions = list(asked)
            return Prepared(questions, pixels, self.hand_over(pixels, questions))
        except Exception as error:  # whatever it is: only the canvas it comes from shall fail
            return error

    def prepare_block(self, number: int) -> Prepared | Exception:
        """The canvases of block ``number``, ready for the model."""
        return self.prepare(self.plan.block(self.part(number)[0]))

    def ask(self, number: int, prepared: Prepared | Exception) -> Block:
        """The answers to block ``number``, and the audit of those of its canvases that are to be audited."""
        planned, labels = self.part(number)
        canvases = self.plan.block(planned)
        outcomes = self._outcomes(canvases, prepared, labels)
        rank, rows, audit = [], [], []
        for place, (canvas, outcome) in enumerate(
            zip(canvases, outcomes, strict=True), start=planned * self.plan.batch_size
        ):
            item, questions = self._asked(canvas)
            for index, question in enumerate(questions):
                rank += [self._rank(canvas, index, label) for label in labels]
                rows += [self._row(item, canvas, question, label, outcome[label][index]) for label in labels]
            if place in self.audited:
                audit += self._audit(canvas, outcome)
        columns = {name: [row[name] for row in rows] for name in SCHEMA.names}
        return {"block": number, "rank": rank, "answers": columns, "audit": audit}

    def said(self, text: str, question: Question) -> Answer:
        """The answer in what the model wrote; a thought that its prompt opened is one."""
        written = f"{THOUGHT}{text}" if self.prompts.thinks(question.text) else text
        return from_text(written, question, self.unit)

    def _asked(self, canvas: Canvas) -> tuple[Item, list[Question]]:
        item = self.probe.items[canvas.index]
        return item, self.probe.questions(item, canvas.cell)

    def _outcomes(self, canvases: list[Canvas], prepared: Prepared | Exception, labels: Sequence[str]) -> list[Outcome]:
        """Where a batch fails, its halves are asked on their own: one too large for the memory still gets through,
        and otherwise only the canvases at fault are lost.
        """
        most = self.at_once or len(canvases)
        if len(canvases) > most:  # no batch of this size got through before
            parts = [canvases[start : start + most] for start in range(0, len(canvases), most)]
            return [outcome for part in parts for outcome in self._outcomes(part, self.prepare(part), labels)]
        try:
            if isinstance(prepared, Exception):
                raise prepared
            return self.answer_block(canvases, prepared, labels)
        except RunError:  # the run cannot go on at all
            raise
        except Exception as error:  # a failure is a row of its own, whatever the reason
            if len(canvases) <= self.together:
                failed = Answer(error=f"{type(error).__name__}: {' '.join(str(error).split())}")
                return [dict.fromkeys(labels, [failed] * len(self._asked(canvas)[1])) for canvas in canvases]
            too_large = out_of_memory(error)
        middle = max(1, len(canvases) // self.together // 2) * self.together
        if too_large:
            self.at_once = middle
            free_memory()
            print(f"out of memory with {len(canvases)} canvases at once; going on with {middle}", file=sys.stderr)
        halves = (canvases[:middle], canvases[middle:])
        return [outcome for half in halves for outcome in self._outcomes(half, self.prepare(half), labels)]

    def _rank(self, canvas: Canvas, question: int, label: str) -> int:
        """Place of a row in the run: by item, cell, question and scheme."""
        row = ((canvas.index * self.plan.cells + canvas.cell) << 16) + question
        return row * len(self.labels) + self.labels.index(label)

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
        """Each question about ``canvas`` asked alone, beside what it got in its batch, and what the model writes to it
        where its logits were read.
        """
        item, questions = self._asked(canvas)
        pixels = self.probe.compose(item, canvas.cell)
        entries = []
        for label, answers in outcome.items():
            pairs = [pair for pair in zip(questions, answers, strict=True) if pair[1].error is None]
            asked = [question for question, _ in pairs]
            again = self.answer_alone(pixels, asked, label)
            spoken = not self.generate and self.probe.design.task != "name"  # a name may come later in a text
            texts = self.write_alone(pixels, asked, label, WRITTEN) if spoken else []
            for index, ((question, batched), alone) in enumerate(zip(pairs, again, strict=True)):
                entry = {**self._row(item, canvas, question, label, batched), "alone": asdict(alone)}
                if texts:
                    read = self.said(texts[index], question)
                    entry["written"] = {"text": texts[index], "answer": read.answer}
                entries.append(entry)
        return entries


def out_of_memory(error: Exception) -> bool:
    """Whether a batch was too large for the memory, of the GPU or of the machine."""
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or "not enough memory" in str(error)


def free_memory() -> None:
    """Give back what a failed batch has left behind."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
