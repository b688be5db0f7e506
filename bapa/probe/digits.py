"""Tinted real handwritten digits: target content that needs no download.

The scans are scikit-learn's copy of the test part of "Optical Recognition of Handwritten Digits" (Alpaydin and Kaynak
1998, UCI Machine Learning Repository, CC BY 4.0): 1797 digits of 8 x 8 pixels with 17 grey levels. Each is enlarged,
slightly shifted, scaled, turned and thickened, inked in one of eight colours and laid on a grey ground. A fixed split
by scan keeps what the reference model was trained on (`train`) out of what it is asked about (`probe`).
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from bapa.errors import ConfigError
from bapa.probe.wording import WHERE_IN_WORDS

if TYPE_CHECKING:
    from bapa.probe.tile import Tile

Split = Literal["train", "probe"]

DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
COLOURS: dict[str, tuple[int, int, int]] = {
    "red": (214, 39, 40),
    "orange": (255, 140, 0),
    "yellow": (255, 235, 60),
    "green": (40, 160, 60),
    "blue": (40, 80, 215),
    "purple": (148, 60, 190),
    "white": (250, 250, 250),
    "black": (15, 15, 15),
}
GROUND = (128, 128, 128)
QUESTION = "Is there {caption} in the image? Answer yes or no."
QUESTIONS = {  # by task, in words that the reference models know
    "match": QUESTION,
    "where": WHERE_IN_WORDS,
    "evidence": QUESTION,
    "order": "Is {caption} before {other}? Answer yes or no.",
    "count": "How many {group} are there? Answer with one word.",
}

_SPLIT_SEED = 2509
_TRAIN_SHARE = 0.7
_MARGIN = 6  # blank pixels around each scan in the atlas: wider than the cubic spline's reach, so scans never mix


@cache
def labels() -> NDArray[np.int64]:
    """The digit of each of the 1797 scans, shape (scans,), int64."""
    from sklearn.datasets import load_digits

    return load_digits().target.astype(np.int64)


@cache
def _atlas() -> NDArray[np.float32]:
    """All scans side by side as cubic-spline coefficients, so that one call enlarges any number of them."""
    from scipy.ndimage import spline_filter
    from sklearn.datasets import load_digits

    scans = load_digits().images / 16.0
    padded = np.pad(scans, ((0, 0), (_MARGIN, _MARGIN), (_MARGIN, _MARGIN)))
    return spline_filter(np.concatenate(padded, axis=1), order=3).astype(np.float32)


@cache
def scans(split: Split) -> NDArray[np.int64]:
    """Scan ids of one side of the split, shape (n,), int64, sorted; the two sides share no scan.

    Raises:
        ConfigError: `split` is neither "train" nor "probe".
    """
    if split not in ("train", "probe"):
        raise ConfigError(f"unknown digits split {split!r}: accepted are 'train' and 'probe'")
    order = np.random.default_rng(_SPLIT_SEED).permutation(len(labels()))
    cut = int(_TRAIN_SHARE * len(order))
    return np.sort(order[:cut] if split == "train" else order[cut:])


def ink(scan_ids: NDArray[np.int64], size: int, rng: np.random.Generator, jitter: float = 1.0) -> NDArray[np.float32]:
    """Enlarged, jittered strokes of scans, shape (n, size, size), float32 in 0 (ground) .. 1 (full ink).

    Each digit fills 76 to 94 % of the tile, is shifted by up to 4 % of it, turned by up to 8 degrees and drawn thinner
    or bolder; `jitter` multiplies these ranges.
    """
    from scipy.ndimage import map_coordinates

    n = len(scan_ids)
    fill = 0.85 + jitter * rng.uniform(-0.09, 0.09, n)
    turn = jitter * np.deg2rad(rng.uniform(-8, 8, n))
    shift = jitter * rng.uniform(-0.04, 0.04, (n, 2))
    bold = 1.35 + jitter * rng.uniform(-0.35, 0.35, n)

    unit = (np.arange(size) + 0.5) / size - 0.5
    y, x = unit[None, :, None] - shift[:, 0, None, None], unit[None, None, :] - shift[:, 1, None, None]
    cos, sin, scale = (v[:, None, None] for v in (np.cos(turn), np.sin(turn), 8 / fill))
    # From tile to scan coordinates; outside its scan a pixel reads the blank margin, never the neighbour.
    row = np.clip(scale * (cos * y - sin * x) + 3.5, -_MARGIN + 1, 6 + _MARGIN)
    col = np.clip(scale * (sin * y + cos * x) + 3.5, -_MARGIN + 1, 6 + _MARGIN)
    left = (scan_ids * (8 + 2 * _MARGIN) + _MARGIN)[:, None, None]
    strokes = map_coordinates(_atlas(), [row + _MARGIN, col + left], order=3, prefilter=False, output=np.float32)
    return np.clip(bold[:, None, None] * strokes, 0, 1).astype(np.float32)


def paint(strokes: NDArray[np.float32], colours: NDArray[np.int64], noise: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Ink strokes in colours (indices into `COLOURS`) on grey, shape (n, size, size, 3), uint8.

    `noise`, broadcastable to the result, is added to the 0..255 values.
    """
    tints = np.array(list(COLOURS.values()), np.float32)[colours][:, None, None]
    ground = np.array(GROUND, np.float32)
    pixels = ground + strokes[..., None] * (tints - ground) + noise
    return np.clip(np.rint(pixels), 0, 255).astype(np.uint8)


def render(scan: int, colour: str, *, size: int, seed: int) -> NDArray[np.uint8]:
    """One tile, shape (size, size, 3), uint8: scan `scan` inked in `colour`, the jitter and grain drawn from `seed`.

    Raises:
        ConfigError: no such scan or colour.
    """
    if not 0 <= scan < len(labels()):
        raise ConfigError(f"no digit scan {scan}: accepted are 0 to {len(labels()) - 1}")
    if colour not in COLOURS:
        raise ConfigError(f"unknown colour {colour!r}: accepted are {', '.join(COLOURS)}")
    rng = np.random.default_rng((_SPLIT_SEED, scan, seed))
    strokes = ink(np.array([scan]), size, rng)
    noise = rng.normal(0, 4, (1, size, size, 3)).astype(np.float32)
    return paint(strokes, np.array([list(COLOURS).index(colour)]), noise)[0]


def cut_out(scan: int, colour: str, *, size: int, seed: int) -> NDArray[np.uint8]:
    """The ink of :func:`render` on nothing: colours and opacity, shape (size, size, 4), uint8."""
    strokes = ink(np.array([scan]), size, np.random.default_rng((_SPLIT_SEED, scan, seed)))[0]
    opacity = np.rint(255 * strokes).astype(np.uint8)[..., None]
    return np.concatenate([np.broadcast_to(np.array(COLOURS[colour], np.uint8), (size, size, 3)), opacity], -1)


def caption(colour: str, digit: str) -> str:
    """`"a red seven"`, `"an orange eight"`."""
    return f"{'an' if colour[0] in 'aeiou' else 'a'} {colour} {digit}"


def source(split: Split = "probe", *, tiles: int, size: int = 24, seed: int = 0, clear: bool = False) -> Iterator[Tile]:
    """`tiles` tiles of one side of the split at `size` pixels; same arguments, same pixels.

    Every scan is used once before any is used again, then with other jitter; colours are drawn freely. ``clear``: the
    ink alone, on nothing, shape (size, size, 4). Attributes:
    `digit`, `colour`, `scan`.
    """
    from bapa.probe.tile import Tile

    order_rng, colour_rng = np.random.default_rng((_SPLIT_SEED, seed)).spawn(2)
    ids = scans(split)
    rounds = -(-tiles // len(ids))
    order = np.concatenate([order_rng.permutation(ids) for _ in range(rounds)])[:tiles]
    for number, scan in enumerate(order.tolist()):
        digit, colour = DIGITS[labels()[scan]], str(colour_rng.choice(list(COLOURS)))
        draw = cut_out if clear else render
        image = draw(scan, colour, size=size, seed=seed + number)
        attributes = {"digit": digit, "colour": colour, "scan": str(scan)}
        yield Tile(image, caption(colour, digit), f"digit scan {scan}", attributes)
