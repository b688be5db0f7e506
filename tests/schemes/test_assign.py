from __future__ import annotations

from typing import Any

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils._python_dispatch import TorchDispatchMode

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


class _Counting(TorchDispatchMode):
    """Counts the elements of all tensors that are made."""

    def __init__(self) -> None:
        super().__init__()
        self.elements = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        self.elements += sum(part.numel() for part in torch.utils._pytree.tree_leaves(made) if torch.is_tensor(part))
        return made


def work(frames: int) -> int:
    """Elements that placing a prompt of so many frames of 70 tokens takes."""
    found = layout.read(torch.ones(1, frames * 70, dtype=torch.bool), [70] * frames)
    with _Counting() as count:
        assign.carry(found, parse("bapa"))
    return count.elements


def test_a_video_costs_by_its_tokens_and_not_by_tokens_times_frames() -> None:
    assert work(96) < 2.2 * work(48)


def test_gaps_are_left_out_of_several_axes() -> None:
    mask = torch.tensor([[False, True, True, True, True, False, False, False, True, True, False]])
    gap = torch.tensor([[False] * 5 + [True, True] + [False] * 4])
    time = [0, 1, 1, 1, 1, 1, 1, 3, 4, 4, 6]
    high, wide = [0, 1, 1, 2, 2, 1, 1, 3, 4, 5, 6], [0, 1, 2, 1, 2, 1, 1, 3, 4, 4, 6]
    native = torch.tensor([[time], [high], [wide]])
    moved = assign.balance(native, layout.read(mask).hide(gap), parse("bapa")).positions
    assert moved[0, 0, ~gap[0]].tolist() == [0, 1, 1, 1, 1, 2, 3, 3, 4]
    assert assign.uncounted(native, gap) is not None


def test_a_gap_that_takes_positions_stays() -> None:
    gap = torch.tensor([[True, False, True, True, False, True]])
    counted = assign.uncounted(torch.arange(6)[None, None], gap)
    assert counted is not None
    assert counted.tolist() == [[True, False, False, False, False, True]]
    left_out = assign.uncounted(torch.tensor([[[0, 0, 0, 0, 1, 0]]]), gap)
    assert left_out is not None
    assert left_out.equal(gap)


def test_distance_native_leaves_the_text_where_it_was_on_several_axes() -> None:
    mask = torch.tensor([[False, True, True, True, True, True, True, False]])  # 2 x 3 patches
    native = torch.tensor([[[0, 1, 1, 1, 1, 1, 1, 4]], [[0, 1, 1, 1, 2, 2, 2, 4]], [[0, 1, 2, 3, 1, 2, 3, 4]]])
    told = layout.read(mask).told(native)
    assert assign.balance(native, told, parse("bapa:distance=native")).positions.tolist() == [[[0, *[1] * 6, 4]]]
