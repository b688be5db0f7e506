"""Pictures in tiles: how thumbnail and tiles stand, the grids of tiles for grid rules, ID-Align."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace

import pytest
import torch

import bapa
from bapa.errors import SchemeError
from bapa.families import facts as families
from bapa.families import tiles
from bapa.families.pictures import PromptReader
from bapa.layout import Grid, Image, View
from bapa.schemes import id_align, parse
from tests.attach import checks
from tests.attach.checks import TWO_IMAGES, logits
from tests.tiny import FAMILIES


def places(name: str, word: str, scheme: str) -> list[int]:
    """Positions of the image tokens of one picture behind two words, counted from the first of them."""
    family = FAMILIES[name]
    inputs = family.inputs([["t2", word, "t2"]])
    found = bapa.positions(bapa.balance(family.build(), scheme), **inputs)[0, 0]
    feature = family.image_mask(inputs["input_ids"])[0]
    return (found[feature] - found[feature].min()).tolist()


# A thumbnail of 2 x 2 tokens at 0 1 / 2 3; below, the positions of the tiles' tokens by row.
WIDE_BY_ROW = [0, 0, 1, 1, 2, 2, 3, 3]  # 2 x 4 tokens
SQUARE_BY_ROW = [0, 0, 1, 1, 0, 0, 1, 1, 2, 2, 3, 3, 2, 2, 3, 3]  # 4 x 4 tokens


def ended(by_row: list[int], cols: int) -> list[int]:
    """A token more behind every row, at the last one's position."""
    rows = [by_row[i : i + cols] for i in range(0, len(by_row), cols)]
    return [position for row in rows for position in (*row, row[-1])]


@pytest.mark.parametrize("name", ["llava_next", "llava_next_video", "granite4_vision"])
def test_tiles_joined_behind_the_thumbnail(name: str) -> None:
    if name not in FAMILIES:
        pytest.skip("not in this release of transformers")
    # 8 x 16 pixels on tiles of 8 x 8: two tiles side by side; "wide" is two by two.
    assert places(name, "image", "id_align") == [0, 1, 2, 3, *ended(WIDE_BY_ROW, 4)]
    assert places(name, "wide", "id_align") == [0, 1, 2, 3, *ended(SQUARE_BY_ROW, 4)]


@pytest.mark.parametrize("name", ["idefics3", "smolvlm", "granite_docling"])
def test_tiles_behind_their_tags(name: str) -> None:
    if name not in FAMILIES:
        pytest.skip("not in this release of transformers")
    # Tile by tile, the thumbnail last.
    assert places(name, "image", "id_align") == [0, 0, 2, 2, 1, 1, 3, 3, 0, 1, 2, 3]
    assert places(name, "wide", "id_align") == [0] * 4 + [1] * 4 + [2] * 4 + [3] * 4 + [0, 1, 2, 3]
    assert places(name, "whole", "id_align") == [0, 1, 2, 3]


@pytest.mark.parametrize("name", ["llava_next", "llava_next_video", "idefics3"])
def test_id_align_in_cached_decoding_and_padding(name: str) -> None:
    family = FAMILIES[name]
    checks.cached_equals_recompute(family, "sdpa", "id_align")
    checks.padded_equals_alone(family, "eager", "id_align")
    model, inputs = family.build(), family.inputs(TWO_IMAGES)
    assert (logits(model, inputs) - logits(bapa.balance(model, "id_align"), inputs)).abs().max() > 1e-2


@pytest.mark.parametrize("size", [(8, 16), (16, 8), (16, 16), (7, 16), (5, 16), (16, 9), (100, 30), (3, 30), (30, 40)])
def test_views_are_those_the_model_packs(size: tuple[int, int]) -> None:
    """Against LLaVA-NeXT's own code: the tokens it makes of tiles whose every patch is told by its place."""
    family = FAMILIES["llava_next"]
    model = family.build()
    config, height, width = (
        model.config,
        *tiles.select_best_resolution(list(size), family.config["image_grid_pinpoints"]),
    )
    count = 1 + height * width // 64
    features = torch.zeros(count, 4, config.text_config.hidden_size)
    packed, lengths = model.model.pack_image_features(
        [features], torch.tensor([size]), "default", image_newline=torch.ones(config.text_config.hidden_size)
    )
    views = tiles.anyres(config, size, int(lengths[0]))
    assert views, f"{size}: {int(lengths[0])} tokens are not told"
    ends = packed[0][:, 0].nonzero().flatten() - 4
    cols = views[1].grid.cols
    assert ends.tolist() == [cols + row * (cols + 1) for row in range(views[1].grid.rows)]
    assert tiles.anyres(config, size, int(lengths[0]) + 1) == ()


@pytest.mark.parametrize(
    "name", ["internvl", "qianfan_ocr", "got_ocr2", "aya_vision", "cohere2_vision", "smolvlm", "ovis2", "llama4"]
)
def test_every_tile_has_a_grid(name: str) -> None:
    if name not in FAMILIES:
        pytest.skip("not in this release of transformers")
    family = FAMILIES[name]
    inputs = family.inputs([["t2", "wide", "t2"]])
    found = bapa.positions(bapa.balance(family.build(), "manhattan:scope=tile"), **inputs)[0, 0]
    feature = family.image_mask(inputs["input_ids"])[0]
    shared = bapa.positions(bapa.balance(family.build(), "bapa:scope=tile"), **inputs)[0, 0]
    assert torch.equal(found[feature], shared[feature]), "the four corners of 2 x 2 tokens share a place"
    assert len(found[feature].unique()) == int(feature.sum()) // 4


def test_the_blocks_of_an_anyres_picture() -> None:
    rings = [0, 0, 0, 0] + [x + 1 for x in [0] * 5 + [0, 1, 1, 1, 0] * 2 + [0] * 5]
    assert places("llava_next", "wide", "concentric:scope=tile") == rings


# Two pictures as the processors write them: 9 is a feature, 1 text, the others tags and line ends.
PIECES = {
    "minicpmv4_6": ([1, *[2, 9, 9, 3], 4, 9, 9, 5, 4, 9, 5, 6, 4, 9, 5, *[2, 9, 9, 3], 1], [6, 2]),
    "minicpm_ocr": ([2, 9, 3, 1, 2, 9, 9, 3, 4, 9, 5, 1], [1, 3]),
    "step3p7": ([1, *[4, 9, 9, 5], *[4, 9, 5, 6], 2, 9, 9, 9, 3, 2, 9, 9, 3, 1], [6, 2]),
    "mistral_large4": ([1, 9, 9, 4, 9, 9, 3, 9, 9, 9, 4, 9, 9, 9, 3, 1], [4, 6]),
}


@pytest.mark.parametrize("kind", PIECES)
def test_pieces_of_one_picture_count_as_one(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    ids, lengths = PIECES[kind]
    config = SimpleNamespace(model_type=kind)

    def found() -> list[int]:
        layout = PromptReader(config, torch.tensor([9]), parse("bapa")).layout(torch.tensor([ids]))
        return [len(image) for image in layout.images(0)]

    assert found() == lengths
    monkeypatch.delitem(families.JOINED, kind)
    assert found() != lengths


def test_what_is_not_told_is_refused() -> None:
    with pytest.raises(SchemeError, match=r"'id_align' needs a model whose inputs tell .*llava shows none"):
        bapa.balance(FAMILIES["llava"].build(), "id_align")
    with pytest.raises(SchemeError, match=r"internvl shows none, or does not tell"):
        bapa.balance(FAMILIES["internvl"].build(), "id_align")
    family = FAMILIES["llava_next"]
    with pytest.raises(SchemeError, match="each tile of a picture has one: scope=tile"):
        logits(bapa.balance(family.build(), "concentric"), family.inputs(TWO_IMAGES))
    inputs = family.inputs(TWO_IMAGES)
    bare = {"input_ids": inputs["input_ids"]}  # no sizes
    with pytest.raises(SchemeError, match="not known for 14 tokens"):
        bapa.positions(bapa.balance(family.build(), "id_align"), **bare)


def naive(view: View, thumbnail: Grid) -> list[int]:
    """By areas: the cell of the thumbnail that holds the upper left corner of every token."""
    found = []
    for r in range(view.grid.rows):
        for c in range(view.grid.cols):
            top = (view.row + r / view.grid.rows) / view.of.rows
            left = (view.col + c / view.grid.cols) / view.of.cols
            found.append(int(top * thumbnail.rows + 1e-9) * thumbnail.cols + int(left * thumbnail.cols + 1e-9))
        found += found[-1:] * view.row_ends
    return found


VIEWS = [
    (View(Grid(3, 3)), View(Grid(5, 7), row_ends=True)),
    (*(View(Grid(4, 4), Grid(2, 3), r, c) for r in range(2) for c in range(3)), View(Grid(4, 4))),
]


def against_areas(views: tuple[View, ...]) -> None:
    thumbnail = next(view.grid for view in views if view.whole)
    placed = parse("id_align").place(Image(torch.arange(sum(map(len, views))), views=views))
    assert placed.offsets[0].tolist() == [cell for view in views for cell in naive(view, thumbnail)]
    assert int(placed.resume[-1]) == thumbnail.rows * thumbnail.cols


@pytest.mark.parametrize("views", VIEWS, ids=["anyres", "tagged"])
def test_tokens_inherit_the_place_of_the_area_they_cover(
    views: tuple[View, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    against_areas(views)
    inherited: Callable[..., torch.Tensor] = id_align._inherited
    monkeypatch.setattr(id_align, "_inherited", lambda view, rows, cols: inherited(view, cols, rows + 1))
    with pytest.raises(AssertionError):
        against_areas(views)
