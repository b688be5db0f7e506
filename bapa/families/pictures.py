"""What a prompt or a forward tells of its pictures: which tokens they fill, which belong together, and how they stand
on the grid.
"""

from __future__ import annotations

import itertools
import math
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from bapa import layout as layouts
from bapa.errors import ModelError
from bapa.families import apart, tiles
from bapa.families import facts as families
from bapa.families.anatomy import Anatomy, image_tokens
from bapa.families.words import Words
from bapa.layout import Grid, Image, Layout, Shape, View
from bapa.schemes import Scheme


class PromptReader:
    """Reads the layout of prompts of one model family, with what ``scheme`` counts as one image.

    ``config``: of the whole model. ``tokens``: LongTensor, the ids of tokens that carry picture features.
    """

    def __init__(self, config: Any, tokens: Tensor, scheme: Scheme) -> None:
        kind = families.kind(config)
        self.tokens = tokens
        self.config = config
        self.scope = scheme.scope
        self.joined = families.JOINED.get(kind)
        self.rows = kind in families.ROWS
        self.apart = kind in families.APART
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
        tells pictures apart, and thumbnail and tiles.

        Raises ModelError where pictures stand side by side and nothing tells how long each is.
        """
        call = call or {}
        ids = ids.cpu()
        mask = torch.isin(ids, self.tokens)
        if self.scope == "global":
            return Layout(mask.long())
        begins = None
        if len(self.tokens) > 1:  # a video behind an image is one of its own
            begins = torch.nn.functional.pad(ids.diff(dim=1) != 0, (1, 0))
        runs = layouts.read(mask, begins=begins)
        if grids and any(grid is not None for grid in grids.values()):
            return self._measured(runs, ids, grids, call)
        if self.scope == "tile" and not self.anyres:
            whole = [len(image) for row in range(runs.rows) for image in runs.images(row)]
            if each := tiles.per_tile(call.get("pixel_values"), whole):
                return self._shaped(layouts.read(mask, each), call)
        if self.apart:
            telling = len(lengths) and sum(lengths) == int(mask.sum())
            each = list(lengths) if telling else self._apart(runs, ids, call)
            alone = each == [len(image) for row in range(runs.rows) for image in runs.images(row)]
            found = runs if alone else layouts.read(mask, each)
        elif self.joined is not None and self.scope != "tile":
            found = self.in_pieces(ids, mask)
        else:
            found = runs
        return self._shaped(found, call)

    def in_pieces(self, ids: Tensor, mask: Tensor) -> Layout:
        """The layout of a family whose image comes in several runs of ``mask``, which its tags tell together."""
        joined = self.joined
        if joined is None:
            return layouts.read(mask)
        return layouts.read(mask, joined=lambda row, end, start: joined(ids[row], end, start, self.config))

    def kinds(self, runs: Layout, ids: Tensor, types: Tensor | None = None) -> list[list[str]]:
        """``video`` or ``image`` for each run of each row; GLM marks frames by token type 2, not by a token."""
        video = getattr(self.config, "video_token_id", getattr(self.config, "video_token_index", None))
        found = None if video is None else ids == video
        if types is not None and types.shape == ids.shape:
            marked = types.cpu() == 2
            found = marked if found is None else found | marked
        if found is None or not bool(found.any()):
            return [["image"] * len(runs.images(row)) for row in range(runs.rows)]
        return [
            ["video" if bool(found[row, image.columns[0]]) else "image" for image in runs.images(row)]
            for row in range(runs.rows)
        ]

    def _apart(self, runs: Layout, ids: Tensor, call: Mapping[str, Any]) -> list[int]:
        """Token count of every picture in reading order."""
        found = [image for row in range(runs.rows) for image in runs.images(row)]
        kinds = [kind for row in self.kinds(runs, ids) for kind in row]
        each: dict[str, list[int]] = {kind: [] for kind in dict.fromkeys(kinds)}
        for image, kind in zip(found, kinds, strict=True):
            each[kind].append(len(image))
        known = apart.lengths(self.config, each, call)
        if self.scope == "frame" and "video" in known:
            known["video"] = apart.frames(known["video"], call)
        told = {kind: iter(lengths) for kind, lengths in known.items()}
        lengths: list[int] = []
        for image, kind in zip(found, kinds, strict=True):
            left = len(image)
            while left:
                lengths.append(next(told[kind]))
                left -= lengths[-1]
        return lengths

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
            return found.shaped(tuple(tuple(told or None for told in row) for row in views))
        return found.shaped(tuple(tuple(map(self._shape, row)) for row in images))

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

    def _measured(
        self, runs: Layout, ids: Tensor, given: Mapping[str, Tensor | None], call: Mapping[str, Any]
    ) -> Layout:
        """Images and videos whose grids (frames, patch rows, patch columns) are told."""
        frames = {kind: self._frames(kind, given.get(kind), call) for kind in ("image", "video")}
        kinds = self.kinds(runs, ids, call.get("mm_token_type_ids"))
        lengths: list[int] = []
        grids: list[Shape] = []
        for row in range(runs.rows):
            for image, kind in zip(runs.images(row), kinds[row], strict=True):
                waiting = frames[kind]
                count, left = 0, len(image)
                while left > 0 and count < len(waiting):
                    left -= len(waiting[count])
                    count += 1
                if left:  # a chunk of a prompt, or grids of another family
                    lengths.append(len(image))
                    grids.append(None)
                    continue
                shown = [waiting.popleft() for _ in range(count)]
                apiece = [shown[k : k + 1] for k in range(count)]
                of_one = [list(group) for _, group in itertools.groupby(shown, lambda frame: frame.picture)]
                for of in apiece if self.scope == "frame" else of_one:
                    lengths.append(sum(map(len, of)))
                    grids.append(of[0].grid if len(of) == 1 else None)
        if lengths == [len(image) for row in range(runs.rows) for image in runs.images(row)]:  # each run is an image
            told = iter(grids)
            return runs.shaped(tuple(tuple(next(told) for _ in runs.images(row)) for row in range(runs.rows)))
        return layouts.read(runs.mask, lengths, grids)

    def _frames(self, kind: str, grids: Tensor | None, call: Mapping[str, Any]) -> deque[_Frame]:
        """The frames of all pictures of one kind, in reading order."""
        merges = call.get(f"{kind}_merge_sizes")
        found: deque[_Frame] = deque()
        for k, (frames, rows, cols) in enumerate(grids.tolist() if grids is not None else ()):
            merge = int(merges[k]) if isinstance(merges, Tensor) else self.merge
            found.extend(_Frame(k, Grid(rows // merge, cols // merge)) for _ in range(frames))
        return found


@dataclass(frozen=True)
class _Frame:
    """A frame of the ``picture``-th image or video; an image has one."""

    picture: int
    grid: Grid

    def __len__(self) -> int:
        return self.grid.rows * self.grid.cols


class Reader(PromptReader):
    """Reads the layout of each forward of one model."""

    def __init__(self, anatomy: Anatomy, scheme: Scheme) -> None:
        super().__init__(anatomy.model.config, anatomy.tokens, scheme)
        self.pictures = anatomy.pictures
        self.outer = anatomy.outer
        self.words = Words(anatomy.model)
        self.named: list[Any] = []  # what of the config may name image tokens

    def read(
        self, call: Mapping[str, Any], past: int, trust_ids: bool = False, held: Layout | None = None
    ) -> Layout | None:
        """The images of all columns up to the last that a forward brings in; None where it brings none, whatever its
        ids (models may sample them).

        ``call``: the arguments by name. ``past``: cached columns. ``trust_ids``: image tokens are images even without
        pictures. ``held``: the layout of the cached columns, where it is known.

        Raises ModelError where embeddings hide the images.
        """
        self._look_again()
        brings = self.brings(call)
        ids = call.get("input_ids")
        if ids is None:
            ids = self._spelt(call, brings)
        elif not brings and not trust_ids:
            return None
        if ids is None:
            return None
        ids = ids.cpu()
        if held is None:
            held = layouts.text(len(ids), past)
        if self.joined is not None and self.scope == "image":
            unknown = torch.full((len(ids), past), -1, dtype=torch.long, device="cpu")
            whole = torch.cat([held.ids if held.ids is not None else unknown, ids], 1)
            mask = torch.isin(whole, self.tokens)
            return replace(self._shaped(self.in_pieces(whole, mask), call), ids=whole)
        grids = {kind: call.get(f"{kind}_grid_thw") for kind in ("image", "video")}
        new = self.layout(ids, grids=grids, call=call)
        return held.join(new, self._goes_on(held, new, call)) if past else new

    def _look_again(self) -> None:
        """Read the ids of image tokens anew where the config has changed: people add tokens later."""
        told = vars(self.config)
        parts = (told, getattr(told.get("vision_config"), "__dict__", {}))
        named = [value for part in parts for name, value in part.items() if "token" in name or "patch" in name]
        if named != self.named:
            self.named, self.tokens = named, image_tokens(self.config)

    def only_text(self, call: Mapping[str, Any]) -> bool:
        """Whether a call brings ids and no pictures."""
        return call.get("input_ids") is not None and not self.brings(call)

    def shows(self, ids: Sequence[int]) -> bool:
        """Whether image tokens are among a prompt's ids."""
        self._look_again()
        return not set(self.tokens.tolist()).isdisjoint(ids)

    def brings(self, call: Mapping[str, Any]) -> bool:
        """Whether a call brings pictures or their features."""
        return any(_given(call.get(name)) for name in self.pictures)

    def _goes_on(self, held: Layout, new: Layout, call: Mapping[str, Any]) -> Tensor | None:
        """Whether the first new image is the last cached one, BoolTensor (rows,); None: where the two touch."""
        if self.scope == "global":
            return new.mask.any(1)
        touch = held.mask[:, -1] & new.mask[:, 0]
        if not self.apart or not bool(touch.any()):
            return None
        if any(_given(call.get(name)) for name in self.pictures if name != "mm_encoder_outputs"):
            return torch.zeros_like(touch)  # pixels bring whole pictures
        for row in touch.nonzero().flatten().tolist():
            whole = apart.complete(self.config, len(held.images(row)[-1]))
            if whole is None:
                raise ModelError(
                    "an image stands right behind the cached one, or goes on with it, and nothing tells which; "
                    "cut the prompt elsewhere, or leave it to generate(prefill_chunk_size=...)"
                )
            touch[row] = not whole
        return touch

    def _spelt(self, call: Mapping[str, Any], brings: bool) -> Tensor | None:
        """Stand-ins for the ids of a call with embeddings, LongTensor (rows, columns); None where all is text.

        Embeddings of image tokens not yet replaced by pictures tell them, as in transformers itself; so do token types.
        """
        embeds = call["inputs_embeds"]
        types = call.get("mm_token_type_ids")
        if not brings and not isinstance(types, Tensor):
            if self.words.all(embeds):
                return None
            raise ModelError(
                "inputs_embeds hold what is no word of the vocabulary: pictures, or virtual tokens of a tuned prompt; "
                "pass input_ids with the pictures, or mm_token_type_ids (1 on image tokens, 0 on text; "
                "those of virtual tokens in front may be left out)"
            )
        ids = self.words.spell(embeds, self.tokens)
        if not brings and isinstance(types, Tensor):
            columns = ids.shape[1]
            shown = torch.nn.functional.pad(types.cpu() > 0, (columns - types.shape[1], 0))[:, -columns:]
            ids = torch.where(shown, self.tokens[0], ids.masked_fill(torch.isin(ids, self.tokens), -1))
            return ids if bool(shown.any()) else None
        return ids

    def row_end(self) -> Tensor | None:
        return getattr(self.outer, "image_newline", None)


def _given(value: Any) -> bool:
    if isinstance(value, dict):
        return any(part is not None for part in value.values())
    return value is not None
