"""What each rule promises, with a rule beside it that breaks the promise and must be caught."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import pytest
import torch
from torch import Tensor

from bapa.layout import Grid, Image
from bapa.schemes import Placement, Scheme, assign, parse
from bapa.schemes.base import GridScheme, patches
from bapa.schemes.circle import Circle
from bapa.schemes.concentric import Concentric
from bapa.schemes.stride import Stride
from bapa.schemes.vrope import VRope
from tests.schemes.placing import EVERY, GRID, B, placed, prompt, whole


@dataclass(frozen=True)
class StrideFromZero(Stride):
    """Counts image tokens from 0: the text ends up one late."""

    def place(self, image: Image, b: float = 0) -> Placement:
        placement = super().place(image, b)
        return Placement(placement.offsets + 1 - self.delta, placement.resume + 1)


@dataclass(frozen=True)
class RingsOfRowsOnly(Concentric):
    def offsets(self, grid: Grid, b: float = 0) -> Tensor:
        r, _ = patches(grid)
        return torch.minimum(r, grid.rows - 1 - r)[None]


@dataclass(frozen=True)
class ThreeCorners(VRope):
    def offsets(self, grid: Grid, b: float = 0) -> Tensor:
        found = super().offsets(grid, b)
        return torch.stack([*found[:3], found[0]])


@dataclass(frozen=True)
class FlatCircle(Circle):
    """The circle in the plane of the picture instead of across the text axis."""

    def offsets(self, grid: Grid, b: float = 0) -> Tensor:
        time, high, wide = super().offsets(grid, b)
        return torch.stack([torch.zeros_like(time), high, wide])


@dataclass(frozen=True)
class Anchored(GridScheme):
    """Reads ``b`` without saying so."""

    name: ClassVar[str] = "anchored"
    paper: ClassVar[str] = "none"

    def offsets(self, grid: Grid, b: float = 0) -> Tensor:
        return patches(grid)[0][None] - b


@dataclass(frozen=True)
class TextTooEarly(Concentric):
    def place(self, image: Image, b: float = 0) -> Placement:
        placement = super().place(image, b)
        return Placement(placement.offsets, placement.resume - 2)


def stride_of_one_is_native(one: Stride) -> None:
    native, images = prompt()
    expected = assign.balance(native, images, parse("native"))
    found = assign.balance(native, images, one)
    assert found.positions.dtype == expected.positions.dtype == torch.long
    assert torch.equal(found.positions, expected.positions)
    assert torch.equal(found.end, expected.end)


def rings_stand_as_in_an_independent_construction(scheme: Scheme) -> None:
    side = 24
    expected = torch.empty(side, side, dtype=torch.long)
    for k in range(side // 2):  # squares painted one inside the other
        expected[k : side - k, k : side - k] = k
    positions, text = placed(scheme, Grid(side, side), 0)
    assert torch.equal(positions.view(side, side), expected)
    assert text == side // 2


def mean_over_channels_is_the_same_for_every_patch(scheme: Scheme) -> None:
    for grid in (Grid(3, 4), Grid(5, 5), Grid(1, 7)):
        positions, _ = placed(scheme, grid, 0)
        assert positions.double().mean(0).tolist() == [(grid.rows + grid.cols - 2) / 2] * (grid.rows * grid.cols)


def every_text_token_is_equally_far_from_all_patches(scheme: Scheme) -> None:
    for grid in (Grid(3, 4), Grid(7, 2), Grid(24, 24)):
        positions, text = placed(scheme, grid)
        for token in (text, text + 7, text + 500.5):
            distances = (token - positions).square().sum(0).sqrt()
            assert float(distances.max() - distances.min()) < 1e-9


def rule_moves_with_b(scheme: Scheme) -> None:
    at_zero, at_nine = (scheme.place(whole(GRID), b) for b in (0, 9))
    assert torch.equal(at_zero.offsets, at_nine.offsets)
    assert torch.equal(at_zero.resume, at_nine.resume)


def text_goes_on_behind_earlier_text(scheme: Scheme) -> None:
    for grid in (GRID, Grid(2, 2), Grid(7, 3)):
        _, text = placed(scheme, grid)
        assert text > B - 1


def test_stride_of_one_is_native_bit_for_bit() -> None:
    stride_of_one_is_native(Stride(delta=1))
    stride_of_one_is_native(Stride(delta=1.0))
    with pytest.raises(AssertionError):
        stride_of_one_is_native(StrideFromZero(delta=1))
    with pytest.raises(AssertionError):
        stride_of_one_is_native(Stride(delta=0.99))


def test_small_strides_tend_to_the_shared_position() -> None:
    native, images = prompt()
    shared = assign.balance(native, images, parse("bapa")).positions
    found = assign.balance(native, images, Stride(delta=1e-6)).positions
    apart = (found - shared).abs()
    assert not apart[:, ~images.mask].any()  # text stands where BaPA puts it
    # V2PE counts from the token before the image: patches tend to one position before the shared one.
    assert float((apart[:, images.mask] - 1).abs().max()) < 1e-4
    assert float((assign.balance(native, images, Stride(delta=0.5)).positions - shared).abs().max()) > 2


@pytest.mark.parametrize(("delta", "tokens"), [(0.07, 100), (1 / 49, 49), (0.1, 30), (1 / 256, 256), (0.7, 10)])
def test_stride_does_not_round_the_text_on(delta: float, tokens: int) -> None:
    placement = Stride(delta=delta).place(Image(torch.arange(tokens)))
    assert float(placement.resume[-1]) == round(delta * tokens)


def test_concentric_against_an_independent_construction() -> None:
    rings_stand_as_in_an_independent_construction(Concentric())
    with pytest.raises(AssertionError):
        rings_stand_as_in_an_independent_construction(RingsOfRowsOnly())


@pytest.mark.parametrize(
    ("scheme", "share"), [("native", 0.501), ("manhattan", 0.528), ("concentric", 0.555), ("bapa", 1.0)]
)
def test_share_of_pairs_a_ranked_mask_lets_through(scheme: str, share: float) -> None:
    positions, _ = placed(scheme, Grid(24, 24))
    assert float((positions <= positions.T).double().mean()) == pytest.approx(share, abs=5e-4)


def test_vrope_has_no_nearer_region() -> None:
    mean_over_channels_is_the_same_for_every_patch(VRope())
    with pytest.raises(AssertionError):
        mean_over_channels_is_the_same_for_every_patch(ThreeCorners())


def test_circle_is_equally_far_from_every_text_token() -> None:
    for circle in (Circle(), Circle(radius="auto"), Circle(alpha=0), Circle(alpha=1, radius=0.5)):
        every_text_token_is_equally_far_from_all_patches(circle)
    with pytest.raises(AssertionError):
        every_text_token_is_equally_far_from_all_patches(FlatCircle())


@pytest.mark.parametrize("scheme", EVERY)
def test_rules_move_with_b_unless_they_are_absolute(scheme: str) -> None:
    rule = parse(scheme)
    if rule.absolute:
        with pytest.raises(AssertionError):
            rule_moves_with_b(rule)
    else:
        rule_moves_with_b(rule)


def test_a_rule_that_reads_b_in_secret_is_caught() -> None:
    with pytest.raises(AssertionError):
        rule_moves_with_b(Anchored())


@pytest.mark.parametrize("scheme", EVERY)
def test_text_goes_on_behind_all_earlier_text(scheme: str) -> None:
    text_goes_on_behind_earlier_text(parse(scheme))


def test_text_that_overlaps_earlier_text_is_caught() -> None:
    with pytest.raises(AssertionError):
        text_goes_on_behind_earlier_text(TextTooEarly(merged=1))


def test_shuffle_is_a_permutation_of_its_own_for_every_seed_and_size() -> None:
    for tokens in (1, 2, 12, 576):
        placement = parse("shuffle").place(Image(torch.arange(tokens)))
        assert sorted(placement.offsets[0].tolist()) == list(range(tokens))
        assert float(placement.resume[-1]) == tokens
    first = placed("shuffle:seed=1", Grid(4, 4))[0]
    assert torch.equal(first, placed("shuffle:seed=1", Grid(2, 8))[0])
    assert not torch.equal(first, placed("shuffle:seed=2", Grid(4, 4))[0])
    assert first[0, :12].argsort().tolist() != placed("shuffle:seed=1", GRID)[0][0].argsort().tolist()


def test_shuffle_is_the_same_on_every_machine() -> None:
    assert parse("shuffle").place(Image(torch.arange(6))).offsets.tolist() == [[1, 0, 4, 3, 5, 2]]


def text_counts_on(scheme: Scheme) -> None:
    native, images = prompt()
    found = assign.balance(native, images, scheme)
    positions = found.positions.double()
    assert positions.shape[0] in (1, scheme.axes, scheme.sets)
    assert torch.equal(positions[:, 1, :5] - scheme.shift, native[:, 1, :5].expand(len(positions), -1).double())
    for row, spans in enumerate([[(0, 2), (14, 17), (23, 27)], [(5, 8), (20, 27)]]):
        for start, end in spans:
            run = positions[:, row, start:end]
            steps = torch.arange(end - start).double().expand(len(run), -1)
            torch.testing.assert_close(run - run[:1, :1], steps, atol=1e-5, rtol=0)
            assert (run == run[0]).all()  # every axis and channel set agrees on text
        before = [positions[0, row, end - 1] for _, end in spans]
        after = [positions[0, row, start] for start, _ in spans[1:]]
        assert all(b > a for a, b in zip(before, after, strict=False))
        assert float(found.end[row]) == pytest.approx(float(positions[0, row, -1]) + 1, abs=1e-4)
    last = 17  # first column of the second image
    expected, _ = placed(scheme, Grid(2, 3), float(positions[0, 0, last - 1]) + 1 - scheme.shift)
    torch.testing.assert_close(
        positions[:, 0, 17:23], expected.double() + scheme.shift, atol=1e-5, rtol=1e-6, check_dtype=False
    )


@pytest.mark.parametrize("scheme", EVERY)
def test_text_counts_on_through_two_images_and_padding(scheme: str) -> None:
    text_counts_on(parse(scheme))


def test_text_that_does_not_count_on_is_caught() -> None:
    with pytest.raises(AssertionError):
        text_counts_on(TextTooEarly(merged=1))


@pytest.mark.parametrize("k", [-3, 40])
def test_null_moves_everything_by_k(k: int) -> None:
    native, images = prompt()
    found = assign.balance(native, images, parse(f"null:k={k}"))
    assert torch.equal(found.positions, native + k)
    assert torch.equal(found.end, native[0, :, -1] + 1 + k)


@pytest.mark.parametrize("scheme", EVERY)
def test_the_first_tokens_of_an_image_stand_as_in_the_whole(scheme: str) -> None:
    rule = parse(scheme)
    first = rule.place(Image(torch.arange(7), GRID), B)
    assert torch.equal(first.offsets, rule.place(whole(GRID), B).offsets[:, :7])
    assert first.resume.shape == (7,)
    assert (first.resume.diff() >= 0).all()
