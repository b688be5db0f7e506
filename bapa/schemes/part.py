"""To which part of a model a rule applies: pairs of tokens, decoder layers, heads, rotary channels, and how much of it.

``pairs``: query-key pairs whose scores go by the rule: ``cross``, text to image and image to text, or ``text-to-image``
only. ``layers``: decoder layers, counted from 0, or from the end, -1 the last, or told by depth: ``20%-100%`` are all
behind the first fifth, however many there are. ``blend``: the rule's share in mixed scores. ``channels``: rotary pairs,
by number within their axis (M-RoPE: within each section, 0 turns fastest), or by wavelength in lengths of the image:
its tokens, under M-RoPE max(rows, columns). ``wave<0.75x`` are pairs that turn once in less than 0.75 image lengths,
``1x-4x`` those between. The rest keeps the model's own positions.

``shares`` says it head by head, a digit for each: ``0:0f00`` is layer 0, whose second of four key-value heads takes the
rule whole, or head by head a digit for each rotary pair.

``layers`` and ``channels`` change only the rotary embedding, so any attention will do; ``pairs``, ``blend`` and
``shares`` need ``sdpa`` or ``eager``. Lists are joined by ``+``, or by commas: ``layers=0-5+-1`` and ``layers=0-5,-1``
are the same.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from functools import cache
from typing import Literal

from torch import Tensor

from bapa.schemes.shares import ALL, Shares

Kind = Literal["text", "image"]
Pair = tuple[Kind, Kind]  # of a query and the key it looks at

TEXT_TO_IMAGE: frozenset[Pair] = frozenset({("text", "image")})
ACROSS: frozenset[Pair] = TEXT_TO_IMAGE | {("image", "text")}
EVERY: frozenset[Pair] = ACROSS | {("text", "text"), ("image", "image")}

Pairs = Literal["all", "cross", "text-to-image"]
PAIRS: dict[str, frozenset[Pair]] = {"all": EVERY, "cross": ACROSS, "text-to-image": TEXT_TO_IMAGE}
LAYERS = (
    "all, none, even, odd, or numbers from 0, -1 the last layer, ranges and depths, joined by +: 0-5+-4--1, 20%-100%"
)
CHANNELS = "all, none, or numbers and wavelengths in image lengths, joined by +: 0-3+8, wave<0.75x+wave>4.5x, 1x-4x"

_RANGE = re.compile(r"(-?\d+)(?:-(-?\d+))?")
_DEPTHS = re.compile(r"(\d+)%-(\d+)%")
_NUMBERS = re.compile(r"(\d+)(?:-(\d+))?")
_FACTOR = r"(\d+\.?\d*|\.\d+)x"
_WAVE = re.compile(rf"wave([<>]){_FACTOR}")
_BAND = re.compile(rf"{_FACTOR}-{_FACTOR}")


@dataclass(frozen=True)
class Layers:
    """Some decoder layers, told without knowing how many there are. ``ranges``: first and last, negative from the end;
    ``step``: every second one, from ``first`` on. ``depths``: from one share of all layers up to another, each rounded.
    """

    ranges: tuple[tuple[int, int], ...]
    step: int = 1
    depths: tuple[tuple[float, float], ...] = ()

    @property
    def none(self) -> bool:
        return not (self.ranges or self.depths)

    def of(self, layers: int) -> frozenset[int]:
        """Numbers of those a decoder with so many ``layers`` has."""
        ends = [tuple(end + layers if end < 0 else end for end in span) for span in self.ranges]
        ends += [(round(start * layers), round(stop * layers) - 1) for start, stop in self.depths]
        return frozenset(i for first, last in ends for i in range(max(first, 0), min(last + 1, layers), self.step))


@dataclass(frozen=True)
class Channels:
    """Some rotary pairs. ``numbers``: first and last, counted within each axis. ``waves``: least and largest wavelength
    in lengths of the image, both excluded.
    """

    numbers: tuple[tuple[int, int], ...] = ()
    waves: tuple[tuple[float, float], ...] = ()

    @property
    def none(self) -> bool:
        return not (self.numbers or self.waves)

    @property
    def all(self) -> bool:
        return (0.0, math.inf) in self.waves

    def numbered(self, number: Tensor) -> Tensor:
        """Which of the pairs with these numbers, a LongTensor, are in by their number: BoolTensor of its shape."""
        chosen = number < 0
        for first, last in self.numbers:
            chosen = chosen | ((number >= first) & (number <= last))
        return chosen

    def holds(self, wave: float, length: float) -> bool:
        """Whether a pair of wavelength ``wave``, in positions, is in by it for an image of ``length`` positions."""
        return any(low * length < wave < high * length for low, high in self.waves)

    def edges(self, lengths: frozenset[float]) -> list[float]:
        """Wavelengths, ascending, at which the choice changes for images of these ``lengths``."""
        bounds = {bound for span in self.waves for bound in span}
        return sorted({bound * length for bound in bounds for length in lengths} - {0.0, math.inf})


@cache
def read_layers(text: str) -> Layers | None:
    """Reads the option ``layers``; None where it cannot be read."""
    words = {"all": Layers(((0, -1),)), "none": Layers(()), "even": Layers(((0, -1),), 2), "odd": Layers(((1, -1),), 2)}
    if text in words:
        return words[text]
    parts = text.split("+")
    found = [_RANGE.fullmatch(part) for part in parts]
    spans = [(int(m[1]), int(m[2] or m[1])) for m in found if m]
    depths = [(int(m[1]) / 100, int(m[2]) / 100) for m in map(_DEPTHS.fullmatch, parts) if m]
    ordered = all(first >= 0 > last or (first <= last and (first < 0) == (last < 0)) for first, last in spans)
    ordered &= all(start < stop <= 1 for start, stop in depths)
    return Layers(tuple(spans), depths=tuple(depths)) if len(spans) + len(depths) == len(parts) and ordered else None


@cache
def read_channels(text: str) -> Channels | None:
    """Reads the option ``channels``; None where it cannot be read."""
    if text in ("all", "none"):
        return Channels(waves=((0.0, math.inf),)) if text == "all" else Channels()
    numbers: list[tuple[int, int]] = []
    waves: list[tuple[float, float]] = []
    for part in text.split("+"):
        if m := _NUMBERS.fullmatch(part):
            numbers.append((int(m[1]), int(m[2] or m[1])))
        elif m := _WAVE.fullmatch(part):
            waves.append((0.0, float(m[2])) if m[1] == "<" else (float(m[2]), math.inf))
        elif m := _BAND.fullmatch(part):
            waves.append((float(m[1]), float(m[2])))
        else:
            return None
    ordered = all(low <= high for low, high in [*numbers, *waves])
    return Channels(tuple(numbers), tuple(waves)) if ordered else None


@dataclass(frozen=True)
class Part:
    """The five options, read. ``blend``: share of the rule in scores that are mixed with native ones."""

    pairs: frozenset[Pair] = EVERY
    layers: Layers = Layers(((0, -1),))
    channels: Channels = Channels(waves=((0.0, math.inf),))
    blend: float = 1
    shares: Shares = ALL

    @property
    def nothing(self) -> bool:
        """Whether the rule applies nowhere."""
        return not self.pairs or self.layers.none or self.channels.none or self.blend == 0 or self.shares.nothing


EVERYWHERE = Part()
