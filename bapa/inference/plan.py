"""Which canvases are asked together, and what is asked about each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

from bapa.errors import ModelError
from bapa.inference.prompts import Prompts, common
from bapa.probe import Probe

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True)
class Canvas:
    """The canvas of the probe's ``index``-th item with its target at ``cell``."""

    index: int
    cell: int


@dataclass(frozen=True)
class Plan:
    """How a run is cut into blocks.

    ``order``: the items by length of their questions, so that a block needs little padding. ``shared``: how many
    first tokens all prompts have in common; 0 where the image is not among them, so that canvases have no prefix of
    their own to share. ``questions``: their number. ``tokens``, ``unknown``: of one canvas of every item, how many
    tokens its prompts have, and how many of them stand for words that the tokenizer does not know.
    """

    order: list[int]
    cells: int
    batch_size: int
    shared: int
    questions: int
    longest: int = 0
    tokens: int = 0
    unknown: int = 0

    @property
    def canvases(self) -> int:
        """How many canvases there are in all."""
        return len(self.order) * self.cells

    def __len__(self) -> int:
        return -(-self.canvases // self.batch_size)

    def block(self, number: int) -> list[Canvas]:
        """The canvases of one block: all cells of an item follow each other."""
        start = number * self.batch_size
        end = min(start + self.batch_size, self.canvases)
        return [Canvas(self.order[i // self.cells], i % self.cells) for i in range(start, end)]


def plan(probe: Probe, prompts: Prompts, items: int, batch_size: int) -> Plan:
    """The plan of a run over the first ``items`` items of ``probe``. Teaches ``prompts`` the probe's image.

    Raises ModelError where the chat template does not put image and question in the order the probe asks for.
    """
    texts = [question.text for index in {0, items - 1} for question in probe.questions(probe.items[index], 0)]
    image_end = prompts.learn(texts)
    first = prompts(texts[0])
    shared, questions, lengths = len(first), 0, []
    tokens, unknown, strange = 0, 0, prompts.unknown
    for index in range(items):
        there = probe.questions(probe.items[index], 0)
        for question in there:
            if question.name:  # said before anything is asked
                prompts.begins(question.text, question.name)
        asked = [prompts(question.text).ids for question in there]
        lengths.append(max(map(len, asked)))
        shared = min(shared, *(common(first.ids, ids) for ids in asked), *(len(ids) - 1 for ids in asked))
        questions += len(asked) * probe.cells
        tokens += sum(map(len, asked))
        unknown += sum(ids.count(strange) for ids in asked)
    order = sorted(range(items), key=lambda index: (lengths[index], index))
    # Another question shows where questions begin; those of a probe may all be the same.
    other = prompts(f"{texts[0]} {texts[0]}").ids
    image_first = image_end is not None and common(first.ids, other) >= image_end
    if image_end is not None and image_first == prompts.question_first:
        found, wanted = ("before", "image-first") if image_first else ("after", "question-first")
        raise ModelError(
            f"the chat template of {type(prompts.processor).__name__} puts the image {found} the question; "
            f"build the probe so: bapa probe SOURCE --order {wanted}"
        )
    return Plan(order, probe.cells, batch_size, shared if image_first else 0, questions, max(lengths), tokens, unknown)


def ahead(work: Callable[[T], R], tasks: Iterable[T]) -> Iterator[tuple[T, R]]:
    """Each task with its result, the next one being worked on in a thread of its own meanwhile."""
    with ThreadPoolExecutor(1) as pool:
        waiting = None
        for task in tasks:
            coming = (task, pool.submit(work, task))
            if waiting:
                yield waiting[0], waiting[1].result()
            waiting = coming
        if waiting:
            yield waiting[0], waiting[1].result()
