"""Coordinates sent through the pixels come out at the tokens that show them."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from bapa.families.anatomy import find
from bapa.inference.prompts import Prompts
from bapa.origin.geometry import cells, locate, trace
from studies.reference import build
from tests.tiny import FAMILIES, Family


def even(rows: int, cols: int) -> Tensor:
    """Centres of rows x cols patches, row by row."""
    y, x = (torch.arange(rows) + 0.5) / rows, (torch.arange(cols) + 0.5) / cols
    return torch.cartesian_prod(y, x)


def ramped(family: Family, word: str, down: Tensor, right: Tensor) -> list[dict[str, Tensor]]:
    """Inputs of the family for black, white and two ramps; the ramps have the shape of the family's pixels."""
    found = []
    for values in (torch.zeros_like(down), torch.ones_like(down), down, right):
        inputs = family.inputs(["t2", word, "t3"])
        inputs["pixel_values"] = (2 * values - 1).expand(inputs["pixel_values"].shape).clone()  # as if normalised
        found.append(inputs)
    return found


def plane(rows: slice, cols: slice, height: int, width: int, side: int) -> tuple[Tensor, Tensor]:
    """Coordinates in a ``side`` x ``side`` tile that shows part of a height x width canvas."""
    y = (torch.arange(height)[rows] + 0.5) / height
    x = (torch.arange(width)[cols] + 0.5) / width
    shape = (side, side)
    y, x = (torch.nn.functional.interpolate(v[None, None], side, mode="linear")[0, 0] for v in (y, x))
    return y[:, None].expand(shape), x[None].expand(shape)


def test_the_reference_processor_is_followed_to_the_patch() -> None:
    model, processor = build.model(), build.processor()
    places = trace(find(model), Prompts(processor, (72, 72)), (72, 72), "is there a red seven ?")
    assert torch.allclose(places, even(9, 9), atol=0.01)
    found = cells(places, 3, 3)
    assert found.blocks is not None
    assert found.blocks.shape == (9, 9)
    assert torch.equal(found.blocks[4], torch.tensor([30, 31, 32, 39, 40, 41, 48, 49, 50]))
    assert sorted(found.blocks.flatten().tolist()) == list(range(81))


@pytest.mark.parametrize("name", ["llava", "gemma3"])
def test_one_picture(name: str) -> None:
    family = FAMILIES[name]
    side = family.inputs(["image"])["pixel_values"].shape[-1]
    whole = slice(0, side)
    y, x = plane(whole, whole, side, side, side)
    places = locate(find(family.build()), ramped(family, "image", y, x))
    assert torch.allclose(places, even(3, 3), atol=1e-5)


def test_tiles_of_internvl() -> None:
    family = FAMILIES["internvl"]
    left, right = (plane(slice(0, 16), part, 16, 32, 16) for part in (slice(0, 16), slice(16, 32)))
    whole = plane(slice(0, 16), slice(0, 32), 16, 32, 16)
    y, x = (torch.stack([left[i], right[i], whole[i]])[:, None] for i in range(2))
    places = locate(find(family.build()), ramped(family, "wide", y, x))
    tiles = even(2, 2)
    wanted = torch.cat([tiles * torch.tensor([1, 0.5]), tiles * torch.tensor([1, 0.5]) + torch.tensor([0, 0.5]), tiles])
    assert torch.allclose(places, wanted, atol=0.02)
    found = cells(places, 1, 2)  # each half: its own tile and half of the whole picture
    assert found.blocks is not None
    assert sorted(found.blocks[0].tolist()) == [0, 1, 2, 3, 8, 10]
    assert sorted(found.blocks[1].tolist()) == [4, 5, 6, 7, 9, 11]
    within = (places * torch.tensor([1, 2])) % 1
    assert torch.allclose(within[found.blocks[0]], within[found.blocks[1]], atol=0.02)


def test_llava_next_packs_coordinates_as_it_packs_features() -> None:
    family = FAMILIES["llava_next"]
    halves = [plane(slice(0, 8), part, 8, 16, 8) for part in (slice(0, 8), slice(8, 16))]
    whole = plane(slice(0, 8), slice(0, 16), 8, 16, 8)
    y, x = (torch.stack([whole[i], halves[0][i], halves[1][i]])[None, :, None] for i in range(2))
    places = locate(find(family.build()), ramped(family, "image", y, x))
    assert len(places) == 4 + 2 * 5
    assert torch.allclose(places[:4], even(2, 2), atol=0.02)
    lines = places[4:].view(2, 5, 2)
    assert bool(lines[:, 4].isnan().all()), "newlines look nowhere"
    assert torch.allclose(lines[:, :4].reshape(8, 2), even(2, 4), atol=0.02)


def test_patches_of_qwen_keep_the_order_in_which_they_are_merged() -> None:
    family = FAMILIES["qwen2_5_vl"]
    rows, cols = 2, 3  # tokens, each of 2 x 2 patches that follow each other
    order = torch.arange(24).view(rows, 2, cols, 2).permute(0, 2, 1, 3).flatten()
    spots = even(2 * rows, 2 * cols)[order]
    places = locate(find(family.build()), ramped(family, "image", spots[:, :1], spots[:, 1:]))
    assert torch.allclose(places, even(rows, cols), atol=1e-5)


def test_cells_that_patches_do_not_fill_alike_are_told() -> None:
    found = cells(even(16, 16), 3, 3)
    assert found.blocks is None
    assert found.reason is not None
    assert "25 to 36" in found.reason
    assert "--rows 4 --cols 4" in found.reason
    assert cells(even(16, 16), 4, 4).blocks is not None
