"""The option ``shares``: how much of a rule each attention head takes, rotary pair by rotary pair.

``0:0f00`` is decoder layer 0, whose second of four key-value heads takes the rule whole; layers that are not named stay
native. A digit, 0 to 9 and a to f, is a share of 0 to 15 fifteenths of each score. A layer has one digit for each head,
or head by head one for each rotary pair, in the order in which the head holds them. They are found by
``bapa calibrate --fit``.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from bapa.errors import SchemeError

SHARES = (
    "all, or LAYER:DIGITS joined by +, a digit 0-f for each key-value head, or for each rotary pair of each: 0:0f00"
)
MOST = 15  # what the largest digit counts
_BLOCK = re.compile(r"(\d+):([0-9a-f]+)")


@dataclass(frozen=True)
class Shares:
    """``layers``: by decoder layer its digits; none where every head takes all of the rule."""

    layers: tuple[tuple[int, str], ...] = ()

    @property
    def nothing(self) -> bool:
        """Whether no head takes any of the rule."""
        return bool(self.layers) and not any(digits.strip("0") for _, digits in self.layers)

    def of(self, layers: int) -> frozenset[int]:
        """The layers that are named; SchemeError where a decoder of so many ``layers`` lacks one."""
        named = frozenset(layer for layer, _ in self.layers)
        if beyond := [layer for layer in sorted(named) if layer >= layers]:
            raise SchemeError(f"shares name layer {beyond[0]}, counted from 0, and the decoder has {layers}")
        return named


ALL = Shares()
_LONG = re.compile(r"shares=((?:\d+:[0-9a-f]+\+?)+)")
_SHORT = 24  # characters that a page shows in full


def brief(text: str) -> str:
    """``text`` with long lists of shares as their layers, ``0-29``, and a digest of the digits, which tells two lists
    apart.
    """

    def cut(found: re.Match[str]) -> str:
        if len(found[1]) <= _SHORT:
            return found[0]
        layers = _runs(sorted(int(block.partition(":")[0]) for block in found[1].split("+")))
        return f"shares={layers}:…{hashlib.sha256(found[1].encode()).hexdigest()[:4]}"

    return _LONG.sub(cut, text)


def _runs(numbers: Sequence[int]) -> str:
    """``0-3+7`` for 0, 1, 2, 3 and 7."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return "+".join(f"{run[0]}-{run[-1]}" if len(run) > 1 else f"{run[0]}" for run in runs)


@cache
def read_shares(text: str) -> Shares | None:
    """Reads the option; None where it cannot be read."""
    if text == "all":
        return ALL
    found = [_BLOCK.fullmatch(block) for block in text.split("+")]
    layers = tuple((int(match[1]), match[2]) for match in found if match)
    return Shares(layers) if len(layers) == len(found) == len(dict(layers)) else None


def fractions(digits: str) -> tuple[float, ...]:
    """What the digits of one layer mean, each from 0 to 1."""
    return tuple(int(digit, 16) / MOST for digit in digits)


def written(shares: Mapping[int, Sequence[float]]) -> str:
    """The option's text for shares from 0 to 1 by layer, to the nearest digit; layers without any are left out."""
    blocks = {layer: "".join(f"{round(MOST * share):x}" for share in row) for layer, row in sorted(shares.items())}
    return "+".join(f"{layer}:{digits}" for layer, digits in blocks.items() if digits.strip("0"))
