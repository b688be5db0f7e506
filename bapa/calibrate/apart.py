"""Items that pick and items that judge: as far apart as the source allows."""

from __future__ import annotations

from dataclasses import dataclass

from bapa.probe import Item, Probe

LEAST = 32  # judging items that are enough to give up those that share something
# From the strictest on: what no judging item shares with a picking one.
KINDS = ("captions and pictures", "captions and target pictures", "captions", "")


@dataclass(frozen=True)
class Split:
    """``judging``: places of the judging items in the probe. ``apart``: one of :data:`KINDS`."""

    judging: tuple[int, ...]
    apart: str


def split(probe: Probe, picking: int, judging: int | None) -> Split:
    """The items behind the first ``picking`` ones that share least with them: ``judging`` of them, or all.

    Captions count of targets alone: a source of few captions asks about all of them everywhere. Pictures count with all
    on the canvas. The strictest of :data:`KINDS` that leaves enough items is taken.
    """
    first = [probe.items[n] for n in range(picking)]
    captions, shown = {_caption(item.caption) for item in first}, set[int]().union(*map(_shown, first))
    rest = range(picking, len(probe.items))
    new = [n for n in rest if _caption(probe.items[n].caption) not in captions]
    found = {
        KINDS[0]: [n for n in new if not _shown(probe.items[n]) & shown],
        KINDS[1]: [n for n in new if probe.items[n].target not in shown],
        KINDS[2]: new,
    }
    enough = min(LEAST, len(rest)) if judging is None else judging
    for kind, places in found.items():
        if len(places) >= enough:
            return Split(tuple(places[:judging]), kind)
    return Split(tuple(rest[:judging]), KINDS[3])


def _caption(text: str) -> str:
    return " ".join(text.lower().split())


def _shown(item: Item) -> set[int]:
    return {tile for tile in item.layout if tile >= 0}
