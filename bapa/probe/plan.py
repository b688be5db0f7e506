"""Drawing the items: which pictures are targets, what surrounds them, which captions are asked about but not shown."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain, islice, tee
from typing import NamedTuple

import numpy as np

from bapa.errors import ProbeError
from bapa.probe.design import NUMBERS, Design
from bapa.probe.item import Item
from bapa.probe.placement import EMPTY, partner
from bapa.probe.questions import bare
from bapa.probe.similar import Similar
from bapa.probe.tile import caption_key

SPARE = 4  # names for each cell: the more there are, the fewer pictures show the same


class Label(NamedTuple):
    """What the plan knows of a tile."""

    caption: str
    attributes: Mapping[str, str]
    also: tuple[str, ...] = ()  # further captions that are true of it


class Planner:
    """Draws items from labelled tiles.

    All captions on a canvas differ, so the target is the only right answer. What is asked as absent is the caption of
    another item's target, each about once: a model that likes some captions better than others gains nothing. Every
    kind of draw has a random stream of its own. Tiles of one ``scene`` (ready-made canvases) stay together, the
    captioned one is their target.
    """

    def __init__(self, labels: Sequence[Label], design: Design, group: str | None) -> None:
        self.labels, self.design = labels, design
        self.number: dict[str, int] = {}  # captions by their order of appearance
        self.tiles: dict[int, list[int]] = defaultdict(list)  # the tiles of each caption
        self.word: dict[int, int] = {}  # the caption of each captioned tile
        self.scenes: dict[str, list[int]] = defaultdict(list)
        for tile, label in enumerate(labels):
            if label.caption:
                word = self.number.setdefault(caption_key(label.caption), len(self.number))
                self.word[tile] = word
                self.tiles[word].append(tile)
            if scene := label.attributes.get("scene"):
                self.scenes[scene].append(tile)
        # What may be asked about and is true of each tile.
        self.true = [
            {self.number[name] for name in map(caption_key, (label.caption, *label.also)) if name in self.number}
            for label in labels
        ]
        if design.task == "name":  # a name is told by what it begins with
            begins = {word: _first(caption) for caption, word in self.number.items()}
            alike = defaultdict[str, set[int]](set)
            for word, first in begins.items():
                alike[first].add(word)
            self.true = [set[int]().union(*(alike[begins[word]] for word in true)) for true in self.true]
        shown = [labels[tiles[0]] for tiles in self.tiles.values()]
        self.caption = [label.caption for label in shown]
        # The group of each caption; without groups each is one of its own.
        self.group = [label.attributes.get(group or "", str(word)) for word, label in enumerate(shown)]
        self.members: dict[str, list[int]] = defaultdict(list)
        for word, name in enumerate(self.group):
            self.members[name].append(word)
        self.similar = None if group else Similar(self.caption)

    def draw(self, backgrounds: Sequence[int] = ()) -> list[Item]:
        """The items of the design, or as many as there are targets; ``backgrounds`` are tiles of natural backgrounds.

        Raises:
            ProbeError: too few pictures, or too few different captions for the canvas and what must be absent from it.
        """
        count = self.design.items or len(self.word)
        self._check_enough(count)
        targets = self._rng("keys").permutation(list(self.word))[:count].tolist()
        homes = self._homes(count)
        near, others = self._rng("near misses"), self._rng("distractors")
        items = []
        for number, (target, home) in enumerate(zip(targets, homes, strict=True)):
            caption, attributes, _ = self.labels[target]
            miss = self._near_miss(target, near) if self._wants_near_miss else None
            around = self._surround(target, miss, others)
            item = Item(
                item=number,
                target=target,
                caption=caption,
                home=home,
                layout=(*around[:home], target, *around[home:]),
                background=backgrounds[number % len(backgrounds)] if backgrounds else None,
                near_miss=None if miss is None else self.caption[miss],
                question=attributes.get("question", ""),
                answer=attributes.get("answer", ""),
            )
            items.append(item)
        if self.design.matches and self.design.absent:
            return list(self._with_absent(items))
        more = {"choice": self._with_options, "order": self._with_other, "count": self._with_number}
        return list(more[self.design.task](items)) if self.design.task in more else items

    @property
    def _wants_near_miss(self) -> bool:
        return self.design.near_miss and (self.design.matches or self.design.task == "choice")

    def _homes(self, count: int) -> list[int]:
        """Each cell in turn, in an order drawn anew for every round."""
        cells = self.design.cells
        rounds = np.tile(np.arange(cells), (-(-count // cells), 1))
        return self._rng("homes").permuted(rounds, axis=1).ravel()[:count].tolist()

    def _rng(self, purpose: str) -> np.random.Generator:
        return np.random.default_rng([self.design.seed, *purpose.encode()])

    def _check_enough(self, count: int) -> None:
        if count > len(self.word):
            raise ProbeError(
                f"{count} items asked, the source has {len(self.word)} usable pictures; "
                f"ask for fewer: --items {len(self.word)}"
            )
        design = self.design
        if design.task == "count" and self.similar:
            raise ProbeError(
                "to be counted, pictures must belong to groups that have names, such as a class: name the column that "
                "holds them with --group-column"
            )
        if design.task in ("order", "count") and (self.scenes or design.distractors == "none"):
            raise ProbeError(f"the task {design.task} needs a captioned picture in every cell")
        shown = 1 if self.scenes or design.distractors == "none" else design.cells
        twins = design.absent + design.near_miss
        hidden = twins if design.matches else {"choice": design.choices - 1}.get(design.task, 0)
        if design.task == "name":
            self._check_begin_differently(shown, max(shown + hidden, SPARE * shown))
        if shown + hidden > len(self.caption):
            raise ProbeError(
                f"the source has {len(self.caption)} usable pictures with different captions; a canvas of "
                f"{design.places.size} needs {shown + hidden} ({shown} to show, {hidden} to ask about "
                "without showing): add pictures, or choose a smaller grid or --distractors none"
            )

    def _check_begin_differently(self, shown: int, needed: int) -> None:
        """ProbeError where names are there, but fewer than ``needed`` that begin differently."""
        begins = sorted({*map(_first, self.number)})
        if begins and len(begins) < needed:
            raise ProbeError(
                f"a name is told by its first word, and compared with pictures that do not show it: {shown} cells "
                f"need {needed} captions that begin differently, the source has {len(begins)} ({begins[0]}, ...); "
                "ask by yes and no (--task match), choose a smaller grid or --distractors none, or take a source whose "
                "captions are names"
            )

    def _near(self, word: int, rng: np.random.Generator) -> Iterator[int]:
        """Captions that nearly fit: those of the same group in random order, or the most similar ones first."""
        if self.similar:
            yield from self.similar.ranked(word)
        else:
            yield from (int(other) for other in rng.permutation(self.members[self.group[word]]) if other != word)

    def _near_miss(self, target: int, rng: np.random.Generator) -> int | None:
        """The caption that comes nearest and is not true of the target."""
        return next((word for word in self._near(self.word[target], rng) if word not in self.true[target]), None)

    def _alike(self, miss: int, target: int) -> Callable[[int], bool]:
        """Whether a tile is as much like the lure ``miss`` as the target is: of its group, or sharing as many words."""
        if self.similar is None:
            return lambda tile: any(self.group[word] == self.group[miss] for word in self.true[tile])
        likeness = self.similar.likeness(miss)
        return lambda tile: any(likeness[word] >= likeness[target] for word in self.true[tile])

    def _surround(self, target: int, miss: int | None, rng: np.random.Generator) -> tuple[int, ...]:
        """Tiles for the other cells: no caption is true of two of them, of the target, or is the near miss."""
        places = self.design.cells - 1
        if self.design.distractors == "none":
            return (EMPTY,) * places
        if scene := self.labels[target].attributes.get("scene"):
            return tuple(tile for tile in self.scenes[scene] if tile != target)
        candidates: Iterable[int] = rng.permutation(len(self.labels))
        if self.design.distractors == "similar":
            near = (rng.choice(self.tiles[word]) for word in self._near(self.word[target], rng))
            candidates = chain(near, candidates)
        seen = {*self.true[target], miss}
        if self.design.task == "count":
            candidates = self._counted(self.word[target], places, rng)
        every = list(map(int, candidates)) if self.design.bound else candidates
        unlike: Iterable[int] = every
        if self.design.bound and miss is not None:
            alike = self._alike(miss, self.word[target])
            unlike = (tile for tile in every if not alike(tile))
        chosen = self._apart(unlike, seen, places)
        if len(chosen) < places:
            bound = self.design.bound and len(self._apart(every, seen, places)) == places
            why, other = (
                ("too many pictures are like what is asked about without being shown", "--lures canvas")
                if bound
                else ("too many captions of the source are true of several pictures", "--distractors none")
            )
            raise ProbeError(
                f"{why}: only {len(chosen)} pictures can stand beside {self.labels[target].caption!r}; choose a "
                f"smaller grid or {other}"
            )
        return tuple(rng.permutation(chosen).tolist())  # the most similar must not always stand first

    def _apart(self, candidates: Iterable[int], seen: set[int | None], places: int) -> list[int]:
        """The first ``places`` tiles of which no caption in ``seen`` is true, nor one of another's."""
        seen, chosen = set(seen), list[int]()
        for tile in candidates:
            if len(chosen) == places:
                break
            if seen.isdisjoint(self.true[tile]):
                seen |= self.true[tile]
                chosen.append(int(tile))
        return chosen

    def _counted(self, word: int, places: int, rng: np.random.Generator) -> Iterator[int]:
        """Tiles of up to three more captions of the target's group, then any of other groups."""
        group = self.group[word]
        alike = [other for other in self.members[group] if other != word]
        more = min(int(rng.integers(len(NUMBERS))), len(alike), places)
        yield from (int(rng.choice(self.tiles[other])) for other in rng.permutation(alike)[:more])
        yield from (tile for tile in rng.permutation(len(self.labels)) if self.group[self.word[tile]] != group)

    def _shown(self, item: Item) -> set[int]:
        """Captions that are true of what is on the canvas, or already asked about."""
        asked = [] if item.near_miss is None else [self.number[caption_key(item.near_miss)]]
        return set[int]().union(*(self.true[tile] for tile in item.layout if tile != EMPTY), asked)

    def _with_absent(self, items: Sequence[Item]) -> Iterator[Item]:
        """Each item with the caption of another's target that it does not show, best of a group not shown either."""
        rng = self._rng("absent")
        targets = [self.word[items[index].target] for index in rng.permutation(len(items))]
        everything = rng.permutation(len(self.caption)).tolist()
        for item in items:
            shown = self._shown(item)
            groups = {self.group[word] for word in shown}
            missing, strange = tee(word for word in chain(targets, everything) if word not in shown)
            word = next(chain((word for word in strange if self.group[word] not in groups), missing), None)
            if word is None:
                raise ProbeError(
                    f"every caption of the source is true of the canvas of {item.caption!r}: add pictures, choose a "
                    "smaller grid or --distractors none"
                )
            if word in targets:
                targets.remove(word)
            yield replace(item, absent=self.caption[word])

    def _with_other(self, items: Sequence[Item]) -> Iterator[Item]:
        """Each item with the caption of the tile whose place in reading order is asked about."""
        for item in items:
            tile = item.layout[partner(item.item, item.home, self.design.cells)]
            yield replace(item, options=(self.labels[tile].caption,))

    def _with_number(self, items: Sequence[Item]) -> Iterator[Item]:
        """Each item with the name of its target's group, and how many pictures of it the canvas shows."""
        for item in items:
            groups = [self.group[self.word[tile]] for tile in item.layout]
            name = self.group[self.word[item.target]]
            yield replace(item, question=name, answer=str(groups.count(name)))

    def _with_options(self, items: Sequence[Item]) -> Iterator[Item]:
        """Each item with its caption among wrong ones, in random order."""
        rng = self._rng("options")
        for item in items:
            shown = self._shown(item)
            wrong = [item.near_miss] if item.near_miss else []
            candidates = rng.permutation(len(self.caption)).tolist()
            missing = (self.caption[word] for word in candidates if word not in shown)
            options = [item.caption, *wrong, *islice(missing, self.design.choices - 1 - len(wrong))]
            yield replace(item, options=tuple(options[index] for index in rng.permutation(len(options))))


def _first(name: str) -> str:
    """The word that a name begins with."""
    return bare(name).split()[0]
