"""Calibrated balance: worked examples, the published rules that are points of it, and mutations that are caught."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from fractions import Fraction

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from bapa import layout
from bapa.errors import SchemeError
from bapa.layout import Grid, Image
from bapa.schemes import Placement, Scheme, assign, parse
from bapa.schemes.calibrated import Calibrated
from bapa.schemes.native import Native
from bapa.schemes.stride import Stride
from tests.schemes.placing import GRID, B, placed, prompt, whole


def on_three(scheme: str) -> tuple[list[list[float]], float]:
    placement = parse(scheme).on_axes(3).place(whole(GRID))
    return (B + placement.offsets).tolist(), B + float(placement.resume[-1])


@pytest.mark.parametrize(
    ("options", "expected", "text"),
    [
        # 12 tokens: their middle stands 5.5 behind the first, natively 6.5 before the text.
        ("", [5.0] * 12, 6),
        ("distance=4", [5.0] * 12, 9),
        ("distance=native", [5.0] * 12, 11.5),
        ("distance=0.5x", [5.0] * 12, 8.25),
        ("distance=native,about=start", [5.0] * 12, 17),
        ("distance=native,delta=1", [5.0 + i for i in range(12)], 17),
        ("distance=native,delta=1,about=start", [5.0 + i for i in range(12)], 17),
        ("distance=6,delta=0.5", [5 + i / 2 for i in range(12)], 5 + 2.75 + 6),
        ("distance=6,delta=0.5,about=start", [5 + i / 2 for i in range(12)], 11),
        ("distance=0.5x,delta=0.25", [5 + i / 4 for i in range(12)], 5 + 1.375 + 3.25),
    ],
)
def test_worked_example(options: str, expected: list[float], text: float) -> None:
    positions, resumed = placed(f"calibrated:{options}")
    assert (positions.tolist(), resumed) == ([expected], text)


@pytest.mark.parametrize(
    ("options", "rows", "cols", "text"),
    [
        # 3 x 4 patches: the longer axis's middle stands 1.5 behind its start, natively 2.5 before the text.
        ("delta=1,distance=native", [5, 6, 7], [5, 6, 7, 8], 9),
        ("delta=0.5,distance=0.6x", [5, 5.5, 6], [5, 5.5, 6, 6.5], 5 + 0.75 + 1.5),
        ("distance=2x", [5, 5, 5], [5, 5, 5, 5], 10),
    ],
)
def test_worked_example_on_three_axes(options: str, rows: list[float], cols: list[float], text: float) -> None:
    axes, resumed = on_three(f"calibrated:{options}")
    assert axes == [[5.0] * 12, [r for r in rows for _ in cols], [c for _ in rows for c in cols]]
    assert resumed == text


def balanced(scheme: Scheme | str) -> assign.Balanced:
    native, images = prompt()
    return assign.balance(native, images, parse(scheme))


def same_points(one: Scheme | str, other: Scheme | str) -> None:
    a, b = balanced(one), balanced(other)
    assert a.positions.dtype == b.positions.dtype
    assert torch.equal(a.positions, b.positions)
    assert torch.equal(a.end, b.end)


POINTS = [
    ("calibrated", "bapa"),
    ("calibrated:about=start", "bapa"),
    ("calibrated:distance=7", "bapa:distance=7"),
    ("calibrated:distance=2.5", "bapa:distance=2.5"),
    ("calibrated:distance=native,about=start", "bapa:distance=native"),
    ("calibrated:distance=native,delta=1", "native"),
    ("calibrated:distance=1x,delta=1", "native"),
    ("calibrated:distance=native,delta=1,about=start", "native"),
]


@pytest.mark.parametrize(("point", "published"), POINTS)
def test_published_rules_are_points_of_the_family(point: str, published: str) -> None:
    """Bit for bit and of the same dtype, through two images, text between and padding."""
    same_points(point, published)


@pytest.mark.parametrize("delta", [0.25, 0.5, 1 / 16, 1])
def test_stride_is_a_point_but_for_its_step_towards_the_text_before(delta: float) -> None:
    mask = torch.tensor([[False] * 3 + [True] * 12 + [False] * 4])
    native, image = torch.arange(19)[None, None], layout.read(mask)
    v2pe = assign.balance(native, image, Stride(delta=delta)).positions.double()
    ours = Calibrated(distance=math.ceil(delta * 12) + 1 - delta, delta=delta, about="start")
    found = assign.balance(native, image, ours).positions.double()
    assert torch.equal(found[..., :3], v2pe[..., :3])
    assert torch.equal(found[..., 3:], v2pe[..., 3:] + 1 - delta)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 40),
    st.fractions(0, 1, max_denominator=16),
    st.fractions("1/2", 3, max_denominator=8),
    st.sampled_from(["middle", "start"]),
)
def test_distances_told_in_exact_fractions(n: int, delta: Fraction, times: Fraction, about: str) -> None:
    middle = Fraction(n - 1, 2) if about == "middle" else Fraction(0)
    wanted = [times * (n - middle) + delta * (middle - i) for i in range(n)]
    rule = Calibrated(distance=f"{float(times)!r}x", delta=float(delta), about=about)  # type: ignore[arg-type]
    assume(abs(float(wanted[-1])) > 1e-9)
    if wanted[-1] < 0:
        with pytest.raises(SchemeError, match="inside an image"):
            rule.place(Image(torch.arange(n)))
        return
    placement = rule.place(Image(torch.arange(n)))
    found = placement.resume[-1] - placement.offsets[0]
    torch.testing.assert_close(found, torch.tensor([float(d) for d in wanted], dtype=torch.float64), atol=1e-9, rtol=0)


def test_a_multiple_serves_images_of_any_size() -> None:
    """The middle of each image is seen at the same share of its native distance; a number of positions is not."""
    rule, fixed = parse("calibrated:distance=0.5x,delta=0.3"), parse("calibrated:distance=13,delta=0.3")
    shares = {}
    for scheme in (rule, fixed):
        shares[scheme] = set()
        for side in (5, 7, 9):
            placement = scheme.place(whole(Grid(side, side)))
            seen = float(placement.resume[-1] - placement.offsets.median())
            shares[scheme].add(round(seen / ((side * side + 1) / 2), 9))
    assert shares[rule] == {0.5}
    assert len(shares[fixed]) == 3


def test_tags_inside_an_image_stand_where_the_text_would_if_it_ended_there() -> None:
    mask = torch.tensor([[False, True, True, False, True, True, False, False]])
    native, image = torch.arange(8)[None, None], layout.read(mask, [4])
    found = assign.balance(native, image, parse("calibrated:distance=2,delta=0.5")).positions
    # Image tokens at 1 + columns / 2; the text 2 behind the middle of two tokens, then of four, each tag counting one.
    assert found.tolist() == [[[0, 1, 1.5, 1 + 0.25 + 2, 2.5, 3, 1 + 0.75 + 2 + 1, 5.75]]]
    raster = assign.balance(native, image, parse("calibrated:distance=native,delta=1"))
    assert torch.equal(raster.positions, native)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("distance=0", r'distance=0: a positive number, a multiple of the native distance \("0.6x"\) or "native"'),
        ("distance=0x", "distance='0x'"),
        ("distance=-0.5x", "distance='-0.5x'"),
        ("distance=far", "distance='far'"),
        ("distance=inf", "distance=inf"),
        ("delta=1.5", r"delta=1.5: a number from 0 \(shared\) to 1 \(native\)"),
        ("delta=-0.1", "delta=-0.1"),
        ("about=end", "about='end': middle or start"),
    ],
)
def test_options_out_of_range(text: str, message: str) -> None:
    with pytest.raises(SchemeError, match=message):
        parse(f"calibrated:{text}")


def test_text_inside_the_image_is_an_error() -> None:
    with pytest.raises(SchemeError, match=r"the text would stand inside an image of 12 tokens; use a larger distance"):
        placed("calibrated:distance=2,delta=0.5")


@dataclass(frozen=True)
class FromTheEnd(Calibrated):
    """Counts the distance from the image's last token."""

    def place(self, image: Image, b: float = 0) -> Placement:
        right = super().place(image, b)
        return replace(right, resume=right.offsets[0] + right.resume[-1] - right.offsets.max() / 2)


@dataclass(frozen=True)
class FromZero(Calibrated):
    """Forgets that the middle of n tokens stands (n - 1) / 2 behind the first."""

    def compress(self, native: Placement) -> Placement:
        return super().compress(replace(native, resume=native.resume + 1))


@pytest.mark.parametrize("wrong", [FromTheEnd, FromZero])
def test_wrong_rules_are_caught(wrong: type[Calibrated]) -> None:
    with pytest.raises(AssertionError):
        same_points(wrong(distance="native", delta=1), Native())
