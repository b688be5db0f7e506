"""What a prompt or a forward tells of its pictures: which tokens they fill, which belong together, and how they stand
on the grid.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from bapa import layout as layouts
from bapa.errors import ModelError
from bapa.families import facts as families
from bapa.families import tiles
from bapa.families.anatomy import Anatomy
from bapa.layout import Grid, Image, Layout, Shape, View
from bapa.schemes import Scheme


class PromptReader:
    """Reads the layout of prompts of one model family, with what ``scheme`` counts as one image.

    ``config``: of the whole model. ``tokens``: LongTensor, the ids of tokens that carry picture features.
    """

    def __init__(self, config: Any, tokens: Tensor, scheme: Scheme) -> None:
        kind = config.model_type.replace("-", "_")  # transformers 4 writes lfm2-vl
        self.tokens = tokens
        self.config = config
        self.scope = scheme.scope
        self.joined = families.JOINED.get(kind)
        self.rows = kind in families.ROWS
        self.single = kind in families.SINGLE
        self.anyres = kind in tiles.ANYRES
        self.tagged = kind in tiles.TAGGED
        self.squares = families.squares(config)
        self.merge = getattr(getattr(config, "vision_config", None), "spatial_merge_size", 1)

    def layout(
        self,
        ids: Tensor,
        *,
        lengths: Sequence[int] = (),
        grids: Mapping[str, Tensor | None] | None = None,
        call: Mapping[str, Any] | None = None,
    ) -> Layout:
        """The layout of token ids, LongTensor (rows, columns).

        ``lengths``: token count of every picture where known; read by families that put nothing between pictures.
        ``grids``: frames, patch rows and patch columns of every ``image`` and ``video`` where the family tells them,
        LongTensor (pictures, 3). ``call``: what else comes with the pictures, by the names of a forward's arguments; it
        tells thumbnail and tiles apart.
        """
        call = call or {}
        ids = ids.cpu()
        mask = torch.isin(ids, self.tokens)
        if self.scope == "global":
            return Layout(mask.long())
        runs = layouts.read(mask)
        if grids and any(grid is not None for grid in grids.values()):
            return self._measured(runs, ids, grids)
        if self.single:
            pieces = int(runs.number.amax(1).sum())
            telling = len(lengths) > pieces and sum(lengths) == int(mask.sum())
            found = layouts.read(mask, lengths if telling else ())
        elif self.joined is not None and self.scope != "tile":
            joined = self.joined
            found = layouts.read(mask, joined=lambda row, end, start: joined(ids[row], end, start, self.config))
        elif self.scope == "tile":
            whole = [len(image) for row in range(runs.rows) for image in runs.images(row)]
            found = layouts.read(mask, tiles.per_tile(call.get("pixel_values"), whole))
        else:
            found = runs
        return self._shaped(found, call)

    def _shaped(self, found: Layout, call: Mapping[str, Any]) -> Layout:
        """``found`` with what is known of how each image's tokens stand."""
        images = [found.images(row) for row in range(found.rows)]
        told = iter(self._anyres(call, [len(image) for row in images for image in row]) if self.anyres else ())
        views = [[next(told, ()) for _ in row] for row in images]
        if any(map(any, views)):
            if self.scope == "tile":
                # The tiles are joined row by row: thumbnail and tiles are two blocks, a row's end a column of its own.
                blocks = [view for row in views for told in row for view in told]
                grids = [Grid(view.grid.rows, view.grid.cols + view.row_ends) for view in blocks]
                lengths = [len(view) for view in blocks] if all(map(all, views)) else []
                return layouts.read(found.mask, lengths, grids)
            return Layout(found.number, tuple(tuple(told or None for told in row) for row in views))
        return Layout(found.number, tuple(tuple(map(self._shape, row)) for row in images))

    def _anyres(self, call: Mapping[str, Any], lengths: list[int]) -> list[tuple[View, ...]]:
        """Thumbnail and tiles of every image, from the features of the pictures or from their sizes."""
        encoded, sizes = (call.get("mm_encoder_outputs") or {}).get("image"), call.get("image_sizes")
        features = getattr(encoded, "pooler_output", None)  # Granite 4 Vision keeps them elsewhere
        row_end = self.row_end()
        if features is not None and row_end is not None:
            found = [tiles.packed(self.config, image, row_end) for image in features]
        else:
            pairs = zip(sizes.tolist() if isinstance(sizes, Tensor) else (), lengths, strict=False)
            found = [tiles.anyres(self.config, size, length) for size, length in pairs]
        return found if [sum(map(len, views)) for views in found] == lengths else []

    def row_end(self) -> Tensor | None:
        """The feature that a model puts behind every row of its tiles; None where no model is at hand."""
        return None

    def _shape(self, image: Image) -> Shape:
        """The patch grid of an image in rows of its own or of one fixed square, or thumbnail and tiles."""
        if self.tagged and self.scope != "tile" and (views := tiles.tagged(image)):
            return views if len(views) > 1 else views[0].grid
        if self.rows:
            rows = int((image.columns.diff() > 1).sum()) + 1
            return Grid(rows, len(image) // rows) if len(image) % rows == 0 else None
        side = math.isqrt(len(image))
        return Grid(side, side) if len(image) in self.squares and side * side == len(image) else None

    def _measured(self, runs: Layout, ids: Tensor, given: Mapping[str, Tensor | None]) -> Layout:
        """Images and videos whose grids (frames, patch rows, patch columns) are told."""
        video = getattr(self.config, "video_token_id", None)
        frames = {kind: self._frames(given.get(kind)) for kind in ("image", "video")}
        lengths: list[int] = []
        grids: list[Grid | None] = []
        for row in range(runs.rows):
            for image in runs.images(row):
                kind = "video" if video is not None and int(ids[row, image.columns[0]]) == video else "image"
                left = len(image)
                shown: list[Grid] = []
                while left > 0 and (grid := next(frames[kind], None)) is not None:
                    shown.append(grid)
                    left -= grid.rows * grid.cols
                cut = left != 0 or not shown  # a chunk of a prompt, or grids of another family
                if self.scope == "frame" and not cut:
                    lengths += [grid.rows * grid.cols for grid in shown]
                    grids += shown
                else:
                    lengths.append(len(image))
                    grids.append(shown[0] if len(shown) == 1 else None)
        return layouts.read(runs.mask, lengths, grids)

    def _frames(self, grids: Tensor | None) -> Iterator[Grid]:
        for frames, rows, cols in grids.tolist() if grids is not None else ():
            yield from [Grid(rows // self.merge, cols // self.merge)] * frames


class Reader(PromptReader):
    """Reads the layout of each forward of one model."""

    def __init__(self, anatomy: Anatomy, scheme: Scheme) -> None:
        super().__init__(anatomy.model.config, anatomy.tokens, scheme)
        self.pictures = anatomy.pictures
        self.outer = anatomy.outer
        self.embedding = anatomy.model.get_input_embeddings  # a bound method, so that a copied model brings its own

    def read(self, call: dict[str, Any], past: int, trust_ids: bool = False) -> Layout | None:
        """The images a forward brings in; None where it brings none, whatever its ids (models may sample them).

        ``call``: the arguments by name. ``past``: cached columns. ``trust_ids``: image tokens are images even without
        pictures. Raises ModelError where embeddings hide the images.
        """
        brings = any(_given(call.get(name)) for name in self.pictures)
        if (ids := call.get("input_ids")) is not None:
            return self._placed(ids, call) if brings or trust_ids else None
        if brings and self.joined is None:
            return layouts.read(self._embedded(call["inputs_embeds"]))
        if past and not brings:
            return None
        if (types := call.get("mm_token_type_ids")) is None:
            raise ModelError(
                "inputs_embeds without input_ids or pictures hide where the images stand; "
                "pass input_ids, or mm_token_type_ids (1 on image tokens, 0 on text)"
            )
        return layouts.read(types > 0)

    def row_end(self) -> Tensor | None:
        return getattr(self.outer, "image_newline", None)

    def _placed(self, ids: Tensor, call: dict[str, Any]) -> Layout:
        grids = {kind: call.get(f"{kind}_grid_thw") for kind in ("image", "video")}
        return self.layout(ids, lengths=self._lengths(ids, call) if self.single else (), grids=grids, call=call)

    def _lengths(self, ids: Tensor, call: dict[str, Any]) -> list[int]:
        """Token count of every image where images stand side by side, known from their features or from their
        number.
        """
        features = (call.get("mm_encoder_outputs") or {}).get("image")
        pixels = call.get("pixel_values")
        if features is not None:
            return [len(image) for image in features.pooler_output]
        total = int(torch.isin(ids.cpu(), self.tokens).sum())
        if isinstance(pixels, Tensor) and len(pixels) and total % len(pixels) == 0:
            return [total // len(pixels)] * len(pixels)
        return []

    def _embedded(self, embeds: Tensor) -> Tensor:
        """Image tokens of a call with embeddings: those equal to the placeholder's, as transformers itself does."""
        placeholders = self.embedding()(self.tokens.to(embeds.device)).to(embeds.dtype)
        return (embeds[..., None, :] == placeholders).all(-1).any(-1)


def _given(value: Any) -> bool:
    if isinstance(value, dict):
        return any(part is not None for part in value.values())
    return value is not None
