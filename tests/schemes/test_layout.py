from __future__ import annotations

import pytest
import torch

from bapa import layout
from bapa.errors import ModelError
from bapa.layout import Grid


def columns(found: layout.Layout) -> list[list[list[int]]]:
    return [[image.columns.tolist() for image in found.images(row)] for row in range(found.rows)]


def mask(*rows: str) -> torch.Tensor:
    return torch.tensor([[c == "x" for c in row] for row in rows])


def test_every_run_is_an_image_where_no_lengths_are_known() -> None:
    assert columns(layout.read(mask("xx..x", "....."))) == [[[0, 1], [4]], []]


def test_lengths_cut_images_that_touch_and_join_tiles() -> None:
    assert columns(layout.read(mask("xxxx", ".xx."), lengths=[2, 2, 2])) == [[[0, 1], [2, 3]], [[1, 2]]]
    assert columns(layout.read(mask("xx.xx.x"), lengths=[4, 1])) == [[[0, 1, 3, 4], [6]]]


def test_lengths_that_do_not_fill_the_prompt_are_an_error() -> None:
    with pytest.raises(ModelError, match=r"\[3\] features, the prompt has 4"):
        layout.read(mask("xxxx"), lengths=[3])


def test_grids_go_to_their_images_in_reading_order() -> None:
    grids = [Grid(1, 2), Grid(2, 1), Grid(1, 1)]
    found = layout.read(mask("xx.xx", "...x."), grids=grids)
    assert [image.grid for row in (0, 1) for image in found.images(row)] == grids


@pytest.mark.parametrize("seam", range(1, 9))
def test_chunks_join_to_the_whole(seam: int) -> None:
    whole = mask(".xx.xxx..", "x..xxxxx.")
    first, second = layout.read(whole[:, :seam]), layout.read(whole[:, seam:])
    assert columns(first.join(second)) == columns(layout.read(whole))


def test_chunks_join_with_their_grids() -> None:
    first = layout.read(mask("xx."), grids=[Grid(1, 2)])
    second = layout.read(mask(".x"), grids=[Grid(1, 1)])
    assert [image.grid for image in first.join(second).images(0)] == [Grid(1, 2), Grid(1, 1)]
    assert first.join(layout.text(1, 0)) is first


def test_crop_and_repeat() -> None:
    found = layout.read(mask("xx.x", ".xx."))
    assert columns(found.crop(3)) == [[[0, 1]], [[1, 2]]]
    assert columns(found.repeat(2)) == [[[0, 1], [3]], [[0, 1], [3]], [[1, 2]], [[1, 2]]]
