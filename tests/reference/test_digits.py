from __future__ import annotations

import numpy as np
import pytest

from bapa.errors import ConfigError
from bapa.probe import digits


def test_split_is_by_scan_and_complete() -> None:
    train, probe = digits.scans("train"), digits.scans("probe")
    assert not set(train) & set(probe)
    assert len(train) + len(probe) == len(digits.labels()) == 1797
    assert len(probe) / 1797 == pytest.approx(0.3, abs=0.001)
    assert set(digits.labels()[probe]) == set(range(10))


def test_unknown_split_says_what_is_accepted() -> None:
    with pytest.raises(ConfigError, match="'train' and 'probe'"):
        digits.scans("test")  # type: ignore[arg-type]


def test_render_is_a_function_of_its_arguments() -> None:
    tile = digits.render(5, "red", size=24, seed=3)
    assert tile.shape == (24, 24, 3)
    assert tile.dtype == np.uint8
    assert np.array_equal(tile, digits.render(5, "red", size=24, seed=3))
    for other in (digits.render(6, "red", size=24, seed=3), digits.render(5, "red", size=24, seed=4)):
        assert not np.array_equal(tile, other)


@pytest.mark.parametrize("colour", digits.COLOURS)
def test_ink_has_the_colour_and_the_ground_is_grey(colour: str) -> None:
    tile = digits.render(0, colour, size=48, seed=0).astype(float)
    far = np.abs(tile - digits.GROUND).sum(-1)
    inked = tile[far > 0.95 * far.max()].mean(0)
    nearest = min(digits.COLOURS, key=lambda name: float(np.abs(inked - digits.COLOURS[name]).sum()))
    assert nearest == colour
    assert np.allclose(tile[0, 0], digits.GROUND, atol=20)


def test_strokes_of_neighbouring_scans_do_not_mix() -> None:
    rng = np.random.default_rng
    alone = digits.ink(np.array([7]), 24, rng(0), jitter=0)
    among = digits.ink(np.array([6, 7, 8]), 24, rng(0), jitter=0)
    assert np.array_equal(alone[0], among[1])
    assert alone[0, [0, -1]].max() < 0.05 < alone.max()


@pytest.mark.parametrize(("scan", "colour"), [(1797, "red"), (-1, "red"), (0, "mauve")])
def test_no_such_scan_or_colour(scan: int, colour: str) -> None:
    with pytest.raises(ConfigError, match="accepted are"):
        digits.render(scan, colour, size=24, seed=0)


def test_caption_takes_the_right_article() -> None:
    assert digits.caption("red", "seven") == "a red seven"
    assert digits.caption("orange", "eight") == "an orange eight"


def test_source_is_seeded_and_uses_every_scan_before_repeating_one() -> None:
    tiles = list(digits.source("probe", tiles=600, seed=4))
    again = list(digits.source("probe", tiles=20, seed=4))
    assert [tile.digest for tile in tiles[:20]] == [tile.digest for tile in again]
    first = [int(tile.attributes["scan"]) for tile in tiles[:540]]
    assert sorted(first) == digits.scans("probe").tolist()
    assert len({tile.digest for tile in tiles}) == 600
    tile = tiles[0]
    assert tile.caption == digits.caption(tile.attributes["colour"], tile.attributes["digit"])
    assert digits.DIGITS[digits.labels()[int(tile.attributes["scan"])]] == tile.attributes["digit"]
    assert next(iter(digits.source("probe", tiles=1, seed=5))).digest != tile.digest
