"""Every rule against its worked example: 3 x 4 patches behind five text tokens; and what it does layer by layer."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from bapa.layout import Grid
from bapa.schemes import Scheme, parse
from bapa.schemes.concentric import Concentric
from bapa.schemes.stride import Stride
from tests.schemes.placing import EVERY, GRID, B, placed


def rows(scheme: Scheme | str) -> tuple[list[Any], float]:
    positions, text = placed(scheme)
    tables = positions.view(-1, GRID.rows, GRID.cols).tolist()
    return tables if len(tables) > 1 else tables[0], text


@pytest.mark.parametrize(
    ("scheme", "expected", "text"),
    [
        ("native", [[5, 6, 7, 8], [9, 10, 11, 12], [13, 14, 15, 16]], 17),
        ("bapa", [[5, 5, 5, 5], [5, 5, 5, 5], [5, 5, 5, 5]], 6),
        ("concentric", [[5, 5, 5, 5], [5, 6, 6, 5], [5, 5, 5, 5]], 7),
        ("concentric:merged=1", [[5, 5, 5, 5], [5, 5, 5, 5], [5, 5, 5, 5]], 6),
        ("imccd", [[5, 5, 5, 5], [5, 5, 5, 5], [5, 5, 5, 5]], 6),
        ("cmpc", [[5, 5.5, 6, 6.5], [7, 7.5, 8, 8.5], [9, 9.5, 10, 10.5]], 11),
        ("restore", [[5, 6, 7, 8], [9, 10, 11, 12], [13, 14, 15, 16]], 17),
        ("sofa", [[5, 6, 7, 8], [9, 10, 11, 12], [13, 14, 15, 16]], 17),
        ("manhattan", [[5, 6, 6, 5], [6, 7, 7, 6], [5, 6, 6, 5]], 8),
        ("pyramid", [[5, 5, 5, 5], [5, 6, 6, 5], [5, 5, 5, 5]], 7),
        ("reverse", [[16, 15, 14, 13], [12, 11, 10, 9], [8, 7, 6, 5]], 17),
        (
            "mrope",
            [
                [[5, 5, 5, 5], [5, 5, 5, 5], [5, 5, 5, 5]],
                [[5, 5, 5, 5], [6, 6, 6, 6], [7, 7, 7, 7]],
                [[5, 6, 7, 8], [5, 6, 7, 8], [5, 6, 7, 8]],
            ],
            9,
        ),
        (
            "spatial_reset",
            [
                [[5, 5, 5, 5], [5, 5, 5, 5], [5, 5, 5, 5]],
                [[0, 0, 0, 0], [1, 1, 1, 1], [2, 2, 2, 2]],
                [[0, 1, 2, 3], [0, 1, 2, 3], [0, 1, 2, 3]],
            ],
            9,
        ),
        (
            "diagonal",
            [
                [[5, 5, 5, 5], [5, 5, 5, 5], [5, 5, 5, 5]],
                [[4, 4, 4, 4], [5, 5, 5, 5], [6, 6, 6, 6]],
                [[4, 5, 6, 7], [4, 5, 6, 7], [4, 5, 6, 7]],
            ],
            6,
        ),
        (
            "vrope",
            [
                [[5, 6, 7, 8], [6, 7, 8, 9], [7, 8, 9, 10]],
                [[8, 7, 6, 5], [9, 8, 7, 6], [10, 9, 8, 7]],
                [[7, 8, 9, 10], [6, 7, 8, 9], [5, 6, 7, 8]],
                [[10, 9, 8, 7], [9, 8, 7, 6], [8, 7, 6, 5]],
            ],
            11,
        ),
    ],
)
def test_worked_example(scheme: str, expected: list[Any], text: float) -> None:
    assert rows(scheme) == (expected, text)


def test_stride_worked_example() -> None:
    positions, text = rows(Stride(delta=1 / 3))
    expected = [[4.333, 4.667, 5.000, 5.333], [5.667, 6.000, 6.333, 6.667], [7.000, 7.333, 7.667, 8.000]]
    torch.testing.assert_close(torch.tensor(positions), torch.tensor(expected), atol=5e-4, rtol=0)
    assert text == 9


def test_circle_worked_example() -> None:
    positions, text = placed("circle")
    time, high, wide = positions[:, 0].tolist()
    assert (wide, high, time) == pytest.approx((-2.07, 12.07, 5.00), abs=5e-3)
    assert text == pytest.approx(13.91, abs=5e-3)
    x, y = (positions - B)[2], (positions - B)[0]  # in the circle's plane: x along -u, y along v
    angle = torch.atan2(y / (2 / 6**0.5), -(x + y / 2) * 2**0.5) % (2 * torch.pi)
    degrees = [0, 31, 76, 107, 240, 255, 171, 186, 281, 280, 266, 264]
    torch.testing.assert_close(angle.rad2deg(), torch.tensor(degrees).double(), atol=0.5, rtol=0)
    distances = (20 - positions).square().sum(0).sqrt()
    assert distances.tolist() == pytest.approx([27.84] * 12, abs=5e-3)


def test_circle_puts_patches_close_together_on_fine_grids() -> None:
    def nearest(grid: Grid) -> float:
        return float(torch.pdist(placed("circle", grid)[0].T.contiguous()).min())

    assert nearest(Grid(3, 4)) == pytest.approx(0.25, abs=5e-3)
    assert nearest(Grid(16, 16)) == pytest.approx(0.0015, abs=5e-5)
    assert nearest(Grid(24, 24)) == pytest.approx(0.0002, abs=5e-5)


def test_circle_radius_auto_is_half_the_longer_side() -> None:
    positions, _ = placed("circle:radius=auto")
    assert (positions - B).square().sum(0).sqrt().tolist() == pytest.approx([1.5] * 12)


def shared_from(scheme: str) -> int | None:
    """First of 32 layers whose rule gives all patches one position."""
    rule = parse(scheme)
    return next((i for i in range(32) if not placed(rule.at_layer(i, 32), Grid(24, 24), 0)[0].any()), None)


def test_pyramid_descends_to_the_shared_position() -> None:
    assert [shared_from(f"pyramid:interval={j}") for j in (1, 2, 4)] == [11, 22, None]
    last = parse("pyramid:interval=4").at_layer(31, 32)
    assert placed(last, Grid(24, 24), 0)[1] == 5
    text = [placed(parse("pyramid").at_layer(i, 32))[1] for i in range(3)]
    assert text == [7, 6, 6]
    assert parse("pyramid:scope=tile").at_layer(1, 32) == Concentric(merged=1, scope="tile")


def test_a_pyramid_that_never_descends_is_concentric() -> None:
    assert {parse("pyramid:interval=33").at_layer(i, 32) for i in range(32)} == {Concentric()}
    assert {parse("pyramid:interval=31").at_layer(i, 32) for i in range(32)} != {Concentric()}
    assert torch.equal(placed("pyramid", Grid(5, 7))[0], placed("concentric", Grid(5, 7))[0])


@pytest.mark.parametrize(
    ("layers", "pattern"), [("even", "cmcmcm"), ("first", "cccmmm"), ("last", "mmmccc"), ("all", "cccccc")]
)
def test_circle_alternates_with_mrope(layers: str, pattern: str) -> None:
    rule = parse(f"circle:alternate={layers},scope=tile")
    by_layer = [rule.at_layer(i, 6) for i in range(6)]
    assert "".join(r.name[0] for r in by_layer) == pattern
    assert {r.scope for r in by_layer} == {"tile"}


@pytest.mark.parametrize("scheme", EVERY)
def test_rules_of_layers_fit_the_model_the_scheme_fits(scheme: str) -> None:
    rule = parse(scheme)
    for layer in {rule.at_layer(i, 8) for i in range(8)}:
        assert (layer.axes, layer.sets, layer.absolute) == (rule.axes, rule.sets, rule.absolute)
        assert layer.attention == rule.attention or rule.name == "circle"
