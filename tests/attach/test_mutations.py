"""The checks of the matrix can fail: each wrong rule below is caught by the check named with it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from bapa import layout as layouts
from bapa.attach import api
from bapa.attach import hooks as attach
from bapa.attach.call import Call
from bapa.attach.hooks import Attachment
from bapa.attach.state import State
from bapa.families.pictures import Reader
from bapa.layout import Image, Layout
from bapa.schemes import Placement, assign
from bapa.schemes.bapa import Bapa
from tests.attach import checks, placing
from tests.tiny import FAMILIES
from tests.tiny.base import OLDER

Mutation = Callable[[pytest.MonkeyPatch], None]


def drop_the_decode_offset(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(attach, "State", lambda tie, layout, origin, offset, *_: State(tie, layout, origin, offset * 0))


def count_padding(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(attach, "covered", lambda *_: None)
    patch.setattr(assign, "segments", lambda native, image, padding=None: torch.zeros_like(native[0]))


def balance_the_first_image_only(patch: pytest.MonkeyPatch) -> None:
    read = Reader.read

    def first(self: Reader, *call: Any, **known: Any) -> Layout | None:
        found = read(self, *call, **known)
        return None if found is None else replace(found, number=found.number * (found.number == 1))

    patch.setattr(Reader, "read", first)


def merge_all_images(patch: pytest.MonkeyPatch) -> None:
    read = layouts.read
    patch.setattr(layouts, "read", lambda mask, *_, **__: replace(found := read(mask), number=found.mask.long()))


def lose_a_step_behind_the_image(patch: pytest.MonkeyPatch) -> None:
    place = Bapa.place

    def off_by_one(self: Bapa, image: Image, b: float = 0) -> Placement:
        right = place(self, image, b)
        return replace(right, resume=right.resume + 1)

    patch.setattr(Bapa, "place", off_by_one)


def count_from_zero(patch: pytest.MonkeyPatch) -> None:
    raster = assign.raster
    patch.setattr(assign, "raster", lambda native, *at: raster(native, *at) - native[0].amin(-1, keepdim=True))


def hand_ids_to_the_model(patch: pytest.MonkeyPatch) -> None:
    """What the rotary hook avoids: shared positions as position_ids, which transformers takes for packed sequences."""

    def enter(self: Attachment, module: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        if kwargs.get("position_ids") is None and kwargs.get("input_ids") is not None:
            ids = kwargs["input_ids"]
            layout = layouts.read(torch.isin(ids, self.reader.tokens))
            native = torch.arange(ids.shape[1]).expand(1, *ids.shape)
            kwargs["position_ids"] = assign.balance(native, layout, self.scheme).positions[0]
        return args, kwargs

    patch.setattr(Attachment, "enter", enter)
    patch.setattr(Attachment, "alone", lambda *_: None)


def round_the_distance(patch: pytest.MonkeyPatch) -> None:
    place = Bapa.place
    patch.setattr(Bapa, "place", lambda self, image, b=0: replace(p := place(self, image, b), resume=p.resume.round()))


def see_no_gap(patch: pytest.MonkeyPatch) -> None:
    """Padding at the ends of a row is known from positions; a gap inside is known from the mask alone."""
    patch.setattr(attach, "covered", lambda *_: None)


def read_chunk_by_chunk(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(attach, "announced", lambda *_: None)


def take_a_run_for_an_image(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Reader, "_apart", lambda self, runs, *_: [len(image) for image in runs.images(0)])


def let_the_axes_go_on_by_themselves(patch: pytest.MonkeyPatch) -> None:
    follow = Attachment._follow

    def each(self: Attachment, call: Call, native: Tensor) -> list[Tensor]:
        return [found + native - native.amax(0, keepdim=True) for found in follow(self, call, native)]

    patch.setattr(Attachment, "_follow", each)


def keep_old_graphs(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(api, "_forget_graphs", lambda: None)


def share_the_call(patch: pytest.MonkeyPatch) -> None:
    made = Attachment.__init__

    def init(self: Attachment, *args: Any) -> None:
        made(self, *args)
        self.thread = SimpleNamespace()  # type: ignore[assignment]

    patch.setattr(Attachment, "__init__", init)


CAUGHT: list[tuple[Mutation, str, Callable[..., None]]] = [
    (drop_the_decode_offset, "llava", checks.decoding_counts_on),
    (drop_the_decode_offset, "llava", checks.cached_equals_recompute),
    (drop_the_decode_offset, "qwen2_5_vl", checks.cached_equals_recompute),
    (drop_the_decode_offset, "llava", checks.beams_need_no_cache),
    (count_padding, "qwen2_5_vl", checks.padded_positions_equal_alone),
    (balance_the_first_image_only, "llava", checks.positions_are_the_papers),
    (balance_the_first_image_only, "qwen3_vl", checks.positions_are_the_papers),
    (merge_all_images, "llava", checks.positions_are_the_papers),
    (lose_a_step_behind_the_image, "gemma3", checks.positions_are_the_papers),
    (round_the_distance, "llava", checks.positions_are_the_papers),
    (count_from_zero, "paligemma", checks.positions_are_the_papers),
    (hand_ids_to_the_model, "llava", checks.no_mask_equals_ones),
    (see_no_gap, "llava", placing.gaps_count_for_nothing),
    (see_no_gap, "qwen2_5_vl", placing.gaps_count_for_nothing),
    (read_chunk_by_chunk, "aya_vision", placing.chunks_of_every_size),
    (take_a_run_for_an_image, "lighton_ocr", placing.touching_pictures_are_two),
    (let_the_axes_go_on_by_themselves, "qwen2_5_vl", placing.an_image_at_the_end),
    (keep_old_graphs, "llava", placing.compiled_before_it_is_balanced),
    (share_the_call, "llava", placing.threads_do_not_meet),
]


@pytest.mark.parametrize(
    ("mutation", "name", "check"), CAUGHT, ids=[f"{m.__name__}-{n}-{c.__name__}" for m, n, c in CAUGHT]
)
def test_mutation_is_caught(
    mutation: Mutation, name: str, check: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    if OLDER and mutation is let_the_axes_go_on_by_themselves:
        pytest.skip("transformers 4 lets the axes go on together by itself")
    if reason := FAMILIES[name].skip.get(check.__name__):
        pytest.skip(f"native quirk: {reason}")
    check(FAMILIES[name], "sdpa")
    mutation(monkeypatch)
    with pytest.raises(AssertionError):
        check(FAMILIES[name], "sdpa")
