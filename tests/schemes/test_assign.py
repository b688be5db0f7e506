from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bapa import layout
from bapa.schemes import assign, parse
from tests.schemes.naive import Span, shared_positions

PROMPTS = st.lists(st.tuples(st.booleans(), st.integers(1, 6)), min_size=1, max_size=7)


def lay_out(parts: list[tuple[bool, int]]) -> tuple[torch.Tensor, list[Span], list[int]]:
    """An image mask (1, columns), the spans of the images and their lengths; parts are (is image, tokens)."""
    mask, spans = [], []
    for image, tokens in parts:
        if image:
            spans.append((len(mask), len(mask) + tokens))
        mask += [image] * tokens
    return torch.tensor([mask]), spans, [end - start for start, end in spans]


@settings(max_examples=200, deadline=None)
@given(PROMPTS, st.sampled_from([1, 2, 7, 2.5, 0.25, "native"]), st.integers(0, 3))
def test_bapa_against_the_rule_told_token_by_token(
    parts: list[tuple[bool, int]], distance: float | str, start: int
) -> None:
    mask, spans, lengths = lay_out(parts)
    scheme = parse(f"bapa:distance={distance}")
    native = torch.arange(start, start + mask.shape[1])[None, None]
    assert assign.balance(native, layout.read(mask, lengths), scheme).positions.tolist()[0][0] == shared_positions(
        mask[0].tolist(), spans, distance, start
    )


@settings(max_examples=50, deadline=None)
@given(PROMPTS)
def test_native_as_a_rule_is_the_raster(parts: list[tuple[bool, int]]) -> None:
    mask, _, lengths = lay_out(parts)
    native = torch.arange(mask.shape[1])[None, None]
    assert torch.equal(assign.balance(native, layout.read(mask, lengths), parse("native")).positions, native)


def test_the_paper_in_one_line() -> None:
    image = torch.tensor([[False, False, True, True, True, True, False, False]])
    found = assign.balance(torch.arange(8)[None, None], layout.read(image), parse("bapa"))
    assert found.positions.tolist() == [[[0, 1, 2, 2, 2, 2, 3, 4]]]
    assert found.end.tolist() == [5]
    assert found.positions.dtype == torch.long


def test_padding_keeps_its_positions_and_does_not_count() -> None:
    mask = torch.tensor([[False, False, False, True, True, False]])
    native = torch.tensor([[[0, 0, 0, 1, 2, 3]]])  # two pads, then a row of four
    assert assign.balance(native, layout.read(mask), parse("bapa")).positions.tolist() == [[[0, 0, 0, 1, 1, 2]]]


def test_packed_sequences_start_afresh() -> None:
    mask = torch.tensor([[False, True, True, True, False, False, True, True, False]])
    native = torch.tensor([[[0, 1, 2, 3, 4, 0, 1, 2, 3]]])
    assert assign.balance(native, layout.read(mask), parse("bapa")).positions.tolist() == [
        [[0, 1, 1, 1, 2, 0, 1, 1, 2]]
    ]


def test_packed_sequences_with_several_axes() -> None:
    mask = torch.tensor([[False, True, True, True, True, False, False, True, True, False]])
    time, high, wide = [0, 1, 1, 1, 1, 3, 0, 1, 1, 3], [0, 1, 1, 2, 2, 3, 0, 1, 1, 3], [0, 1, 2, 1, 2, 3, 0, 1, 2, 3]
    moved = assign.balance(torch.tensor([[time], [high], [wide]]), layout.read(mask), parse("bapa")).positions
    assert moved.tolist() == [[[0, 1, 1, 1, 1, 2, 0, 1, 1, 2]]]


def test_time_that_falls_behind_a_video_starts_nothing_afresh() -> None:
    mask = torch.tensor([[False, True, True, True, True, False, False, True, False]])
    time, high = (
        [0, 1, 1, 5, 5, 2, 3, 4, 0],
        [0, 1, 1, 1, 1, 2, 3, 4, 0],
    )  # two frames of 1 x 2; a packed prompt at last
    moved = assign.balance(torch.tensor([[time], [high], [high]]), layout.read(mask), parse("bapa")).positions
    assert moved.tolist() == [[[0, 1, 1, 1, 1, 2, 3, 4, 0]]]


def test_tags_inside_an_image_count_on_as_text() -> None:
    mask = torch.tensor([[False, True, True, False, True, True, False, False]])
    native, image = torch.arange(8)[None, None], layout.read(mask, [4])
    assert assign.balance(native, image, parse("bapa")).positions.tolist() == [[[0, 1, 1, 2, 1, 1, 3, 4]]]
    assert assign.balance(native, image, parse("bapa:distance=native")).positions.tolist() == [
        [[0, 1, 1, 3, 1, 1, 6, 7]]
    ]
