from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import pytest
from torch import Tensor

from bapa.layout import Grid
from bapa.schemes import Scheme, parse, profile, ptd
from bapa.schemes.mrope import MRope
from bapa.schemes.stride import Stride

EXACT = 5e-4  # the tables give three digits


@dataclass(frozen=True)
class Plane(MRope):
    """Rows and columns alone: the "spatial" indices Circle-RoPE's authors compare with."""

    axes: ClassVar[int] = 2

    def offsets(self, grid: Grid, b: float = 0) -> Tensor:
        return super().offsets(grid, b)[1:]


@pytest.mark.parametrize(
    ("scheme", "expected"),
    [
        ("native", 5.196),
        (Stride(delta=1 / 3), 1.732),
        ("manhattan", 0.962),
        ("diagonal", 0.618),
        ("mrope", 0.605),
        ("concentric", 0.481),
        ("vrope", 0.156),
        ("bapa", 0),
        ("circle", 0),
    ],
)
def test_ptd_on_the_worked_example(scheme: Scheme | str, expected: float) -> None:
    assert ptd(parse(scheme), Grid(3, 4), text=8, b=5) == pytest.approx(expected, abs=EXACT)


def test_ptd_of_spatial_reset() -> None:
    """The published figure leaves out the tag that ends the image: eight text tokens behind the first."""
    rule = parse("spatial_reset")
    first, nine = (ptd(rule, Grid(3, 4), text=n, b=5) for n in (1, 9))
    assert (9 * nine - first) / 8 == pytest.approx(0.735, abs=EXACT)


def test_ptd_as_published_on_three_by_three() -> None:
    """Circle-RoPE reports 2.22 for raster and 0.64 for spatial indices."""
    assert ptd(parse("native"), Grid(3, 3), axes=1) == pytest.approx(2.222, abs=EXACT)
    assert [round(ptd(Plane(), Grid(3, 3), text=n), 2) for n in (1, 28, 32, 10_000)] == [0.68, 0.64, 0.64, 0.63]


def test_ptd_grows_with_the_axes_a_position_is_copied_to() -> None:
    one, three = (ptd(parse("native"), Grid(3, 4), axes=n) for n in (1, 3))
    assert three == pytest.approx(one * 3**0.5)


@pytest.mark.parametrize(
    ("scheme", "mean", "sd", "farthest"),
    [
        ("native", 288.5, 166.3, 576),
        ("concentric", 8.5, 2.8, 12),
        ("manhattan", 12.0, 4.9, 23),
        ("bapa", 1, 0, 1),
    ],
)
def test_profile_on_the_grid_of_llava(scheme: str, mean: float, sd: float, farthest: float) -> None:
    found = profile(parse(scheme), Grid(24, 24))
    assert (found.mean, found.sd) == pytest.approx((mean, sd), abs=0.05)
    assert found.max == farthest


def test_profile_stands_on_the_grid() -> None:
    assert profile(parse("native"), Grid(2, 3)).distances.tolist() == [[6, 5, 4], [3, 2, 1]]
    assert profile(parse("concentric"), Grid(3, 3)).distances.tolist() == [[2, 2, 2], [2, 1, 2], [2, 2, 2]]
    assert profile(parse("mrope"), Grid(1, 2)).distances[0, 0].item() == 2
    assert profile(parse("circle"), Grid(5, 4)).sd == pytest.approx(0, abs=1e-9)
    assert profile(parse("pyramid").at_layer(11, 32), Grid(24, 24)).max == 1
