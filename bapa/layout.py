"""What a token sequence looks like: which columns hold which image; everything else is text.

Pure tensors, no transformers. A *row* is one sequence of the batch, a *column* one of its token slots; an *image
token* is a slot that carries picture features. Separators written around or between them (begin/end of image, tile
tags, row breaks) are text.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import Tensor

from bapa.errors import ModelError


@dataclass(frozen=True)
class Grid:
    """How the tokens of one image stand on the picture: ``rows`` x ``cols`` patches in raster order."""

    rows: int
    cols: int


@dataclass(frozen=True)
class View:
    """A block of an image's tokens in raster order: the whole picture, or one tile of it.

    ``grid``: of its tokens. ``of``: the tiles the picture is cut into, and ``row``, ``col``: which of them this is.
    ``row_ends``: each row is followed by one token more.
    """

    grid: Grid
    of: Grid = Grid(1, 1)
    row: int = 0
    col: int = 0
    row_ends: bool = False

    def __len__(self) -> int:
        return self.grid.rows * (self.grid.cols + self.row_ends)

    @property
    def whole(self) -> bool:
        return self.of == Grid(1, 1)


Shape = Grid | tuple[View, ...] | None  # of an image: one grid of patches, thumbnail and tiles, or not known


@dataclass(frozen=True)
class Image:
    """One image of one row.

    ``columns``: LongTensor (tokens,), ascending; not contiguous where an image comes in tiles or rows with tags
    between them. ``grid``: the patch grid, or None where it is not known. ``views``: thumbnail and tiles in the order
    of their tokens, where the picture has them and how they stand is known.
    """

    columns: Tensor
    grid: Grid | None = None
    views: tuple[View, ...] = ()

    def __len__(self) -> int:
        return self.columns.numel()


@dataclass(frozen=True)
class Layout:
    """Where the images of a batch stand.

    ``number``: LongTensor (rows, columns) on the CPU, 0 on text, k on the tokens of the row's k-th image.
    ``grids``: for each row, the patch grid or the views of each image (None where unknown), or nothing at all.
    """

    number: Tensor
    grids: tuple[tuple[Shape, ...], ...] = field(default=())

    @property
    def rows(self) -> int:
        return self.number.shape[0]

    @property
    def columns(self) -> int:
        return self.number.shape[1]

    @property
    def mask(self) -> Tensor:
        """BoolTensor (rows, columns): True on image tokens."""
        return self.number > 0

    def images(self, row: int) -> list[Image]:
        """The images of one row from left to right."""
        grids = self.grids[row] if self.grids else ()
        found = []
        for k, tokens in enumerate(self._tokens[row]):
            shape = grids[k] if k < len(grids) else None
            found.append(Image(tokens, views=shape) if isinstance(shape, tuple) else Image(tokens, shape))
        return found

    def alike(self, row: int, other: int) -> bool:
        """Whether the images of two rows stand in the same columns and on the same grids."""
        return torch.equal(self.number[row], self.number[other]) and (
            not self.grids or self.grids[row] == self.grids[other]
        )

    @cached_property
    def _tokens(self) -> list[list[Tensor]]:
        """The columns of each image of each row. At once for the batch: a forward on an accelerator waits for this."""
        row, column = self.number.nonzero(as_tuple=True)
        counts = self.number.amax(1) if self.columns else self.number.new_zeros(self.rows)
        first = counts.cumsum(0) - counts
        lengths = (first[row] + self.number[row, column] - 1).bincount(minlength=int(counts.sum()))
        tokens = iter(column.split(lengths.tolist()))
        return [[next(tokens) for _ in range(count)] for count in counts.tolist()]

    def with_grids(self, native: Tensor, past: int = 0) -> Layout:
        """This layout with the grids that M-RoPE positions tell: images whose rows times columns give their tokens.

        ``native``: LongTensor (axes, rows, columns from ``past`` on), time, height and width; with one axis nothing
        is told.
        """
        if len(native) < 3:
            return self
        grids = []
        for row in range(self.rows):
            known: list[Shape] = []
            for image in self.images(row):
                grid = image.grid
                if grid is None and int(image.columns[0]) >= past:
                    _, high, wide = native[:3, row, image.columns - past].unbind()
                    told = Grid(int(high.max() - high.min()) + 1, int(wide.max() - wide.min()) + 1)
                    grid = told if told.rows * told.cols == len(image) else None
                known.append(image.views or grid)
            grids.append(tuple(known))
        return Layout(self.number, tuple(grids))

    def join(self, after: Layout) -> Layout:
        """This layout followed by ``after``; an image cut by the seam goes on."""
        if not after.columns:
            return self
        last = self.number.amax(1, keepdim=True)
        cut = (self.number[:, -1:] > 0) & (after.number[:, :1] > 0)
        number = torch.where(after.mask, after.number + last - cut.long(), 0)
        grids: list[tuple[Shape, ...]] = []
        for row in range(self.rows if self.grids or after.grids else 0):
            head = self.grids[row] if self.grids else (None,) * int(last[row])
            tail = after.grids[row] if after.grids else ()
            grids.append(head + tail[int(cut[row]) :])
        return Layout(torch.cat([self.number, number], 1), tuple(grids))

    def crop(self, columns: int) -> Layout:
        """The first ``columns`` columns."""
        return Layout(self.number[:, :columns], self.grids)

    def repeat(self, times: int) -> Layout:
        """Every row ``times`` times in a row, as beams and several return sequences lay out a batch."""
        return Layout(self.number.repeat_interleave(times, 0), tuple(g for g in self.grids for _ in range(times)))


def text(rows: int, columns: int) -> Layout:
    """The layout of a batch without images."""
    return Layout(torch.zeros(rows, columns, dtype=torch.long))


def read(
    mask: Tensor,
    lengths: Sequence[int] = (),
    grids: Sequence[Grid | None] = (),
    joined: Callable[[int, int, int], bool] | None = None,
) -> Layout:
    """The layout of a batch, from its image tokens.

    ``mask``: BoolTensor (rows, columns), True on image tokens. ``lengths``: token count of every image in reading
    order over the whole batch; it tells images apart that stand side by side without a separator and joins the pieces
    of one that comes in tiles. Without it every unbroken run is an image. ``grids``: the patch grid of every image,
    in the same order. ``joined``: whether two neighbouring runs are pieces of one image, from the row, the column
    behind the first run and the first column of the second.

    Raises ModelError where the lengths do not fill the rows.
    """
    mask = mask.cpu()
    begins = mask & ~torch.nn.functional.pad(mask, (1, 0))[:, :-1]
    if joined is not None:
        ends = mask & ~torch.nn.functional.pad(mask, (0, 1))[:, 1:]
        for row in range(len(mask)):
            first, last = begins[row].nonzero().flatten().tolist(), ends[row].nonzero().flatten().tolist()
            for end, start in zip(last, first[1:], strict=False):
                begins[row, start] = not joined(row, end + 1, start)
    number = begins.cumsum(1) * mask
    if len(lengths):
        number = _number(mask, lengths)
    counts = number.amax(1).tolist()
    if sum(counts) != len(grids):
        return Layout(number)
    stops = torch.tensor(counts).cumsum(0).tolist()
    return Layout(number, tuple(tuple(grids[end - count : end]) for count, end in zip(counts, stops, strict=True)))


def _number(mask: Tensor, lengths: Sequence[int]) -> Tensor:
    tokens = torch.tensor(list(lengths))
    if int(tokens.sum()) != int(mask.sum()):
        raise ModelError(f"the images bring {list(lengths)} features, the prompt has {int(mask.sum())} image tokens")
    image = torch.arange(1, len(tokens) + 1).repeat_interleave(tokens)  # of each image token, over the whole batch
    row = mask.nonzero()[:, 0]
    first = torch.full((len(mask),), len(tokens) + 1).scatter_reduce(0, row, image, "amin")
    number = torch.zeros(mask.shape, dtype=torch.long)
    number[mask] = image - first[row] + 1
    return number
