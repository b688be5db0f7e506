"""What a token sequence looks like: which columns hold which image; everything else is text.

Pure tensors, no transformers. A *row* is one sequence of the batch, a *column* one of its token slots; an *image
token* is a slot that carries picture features. Separators written around or between them (begin/end of image, tile
tags, row breaks) are text. *Padding*, wherever it stands, is a slot that counts for nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
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
    of their tokens, where the picture has them and how they stand is known. ``advance``: LongTensor (tokens,), how far
    behind the image's first position the model itself puts the text after each token; None: as far as it has tokens.
    ``thinned``: a mask hides some of its tokens, so the rest do not fill a grid.
    """

    columns: Tensor
    grid: Grid | None = None
    views: tuple[View, ...] = ()
    advance: Tensor | None = None
    thinned: bool = False

    def __len__(self) -> int:
        return self.columns.numel()


@dataclass(frozen=True)
class Layout:
    """Where the images of a batch stand. All tensors are on the CPU.

    ``number``: LongTensor (rows, columns), 0 on text and padding, k on the tokens of the row's k-th image. ``grids``:
    for each row, the patch grid or the views of each image (None where unknown), or nothing at all. ``padding``:
    BoolTensor (rows, columns), True on slots that count for nothing; None where there are none. ``native``: LongTensor
    (2, rows, columns), the model's own positions on its first axis and the largest over its axes, where it has several.
    ``ids``: LongTensor (rows, columns), the tokens themselves, -1 where they are not known; None where nobody asks.
    ``thinned``: row and number of the images that padding cuts into.
    """

    number: Tensor
    grids: tuple[tuple[Shape, ...], ...] = field(default=())
    padding: Tensor | None = None
    native: Tensor | None = None
    ids: Tensor | None = None
    thinned: frozenset[tuple[int, int]] = field(default=frozenset())

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
        return self._images[row]

    @cached_property
    def _images(self) -> list[list[Image]]:
        return [self._found(row) for row in range(self.rows)]

    def _found(self, row: int) -> list[Image]:
        grids = self.grids[row] if self.grids else ()
        found = []
        for k, tokens in enumerate(self._tokens[row]):
            shape = grids[k] if k < len(grids) else None
            advance = None
            if self.native is not None and len(tokens):
                first, largest = self.native[:, row, tokens]
                advance = largest.cummax(0).values + 1 - first[0]
                behind = int(tokens[-1]) + 1  # behind a video text may stand before its last frame
                known = behind < self.columns and (self.padding is None or not self.padding[row, behind])
                if known and self.native[0, row, behind] > first[0]:
                    advance[-1] = self.native[0, row, behind] - first[0]
            grid, views = (None, shape) if isinstance(shape, tuple) else (shape, ())
            found.append(Image(tokens, grid, views, advance, (row, k + 1) in self.thinned))
        return [image for image in found if len(image)]

    def alike(self, row: int, other: int) -> bool:
        """Whether the images of two rows stand in the same columns and on the same grids."""
        known = (self.number, self.padding, *(self.native if self.native is not None else ()))
        return all(part is None or torch.equal(part[row], part[other]) for part in known) and (
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

    def told(self, native: Tensor, past: int = 0) -> Layout:
        """This layout with what M-RoPE positions tell: how far each image reaches, and the grids of images whose rows
        times columns give their tokens.

        ``native``: LongTensor (axes, rows, some columns from ``past`` on), time, height and width; with one axis
        nothing is told.
        """
        if len(native) < 3:
            return self
        native = native.cpu().long()
        stop = past + native.shape[-1]
        own = torch.stack([native[0], native.amax(0)])
        held = self.native if self.native is not None else torch.zeros_like(self.number).expand(2, -1, -1)
        grids = []
        for row in range(self.rows):
            known: list[Shape] = []
            for tokens, shape in zip(self._tokens[row], self._shapes(row), strict=True):
                if shape is None and len(tokens) and past <= int(tokens[0]) and int(tokens[-1]) < stop:
                    _, high, wide = native[:3, row, tokens - past].unbind()
                    grid = Grid(int(high.max() - high.min()) + 1, int(wide.max() - wide.min()) + 1)
                    shape = grid if grid.rows * grid.cols == len(tokens) else None
                known.append(shape)
            grids.append(tuple(known))
        return replace(self, grids=tuple(grids), native=torch.cat([held[..., :past], own, held[..., stop:]], -1))

    def hide(self, padding: Tensor | None) -> Layout:
        """This layout where the columns of ``padding``, BoolTensor (rows, columns), count for nothing."""
        if padding is None or not bool(padding.any()):
            return self
        hidden = (padding & self.mask).nonzero().tolist()
        cut = frozenset((row, int(self.number[row, column])) for row, column in hidden)
        return replace(self, number=self.number.masked_fill(padding, 0), padding=padding, thinned=self.thinned | cut)

    def join(self, after: Layout, goes_on: Tensor | None = None) -> Layout:
        """This layout followed by ``after``; an image cut by the seam goes on.

        ``goes_on``: BoolTensor (rows,), whether the first image of ``after`` is the last one of this layout; None:
        where image tokens stand on both sides of the seam.
        """
        if not after.columns:
            return self
        last = self.number.amax(1, keepdim=True) if self.columns else self.number.new_zeros(self.rows, 1)
        touch = (self.number[:, -1:] > 0) & (after.number[:, :1] > 0) if self.columns else last > 0
        cut = touch if goes_on is None else goes_on[:, None] & (last > 0)
        number = torch.where(after.mask, after.number + last - cut.long(), 0)
        grids: list[tuple[Shape, ...]] = []
        for row in range(self.rows if self.grids or after.grids else 0):
            head = self._shapes(row)
            grids.append((*head, *after._shapes(row)[int(cut[row]) :]))
        moved = {(row, k + int(last[row]) - int(cut[row])) for row, k in after.thinned}
        return Layout(
            torch.cat([self.number, number], 1),
            tuple(grids),
            _joined(self.padding, after.padding, self, after, 0),
            _joined(self.native, after.native, self, after, 0),
            _joined(self.ids, after.ids, self, after, -1),
            self.thinned | frozenset(moved),
        )

    def _shapes(self, row: int) -> tuple[Shape, ...]:
        """The shape of each image of one row, None where it is not known."""
        given = self.grids[row] if self.grids else ()
        return (*given, *(None,) * (len(self._tokens[row]) - len(given)))[: len(self._tokens[row])]

    def shaped(self, grids: tuple[tuple[Shape, ...], ...]) -> Layout:
        """This layout with other ``grids``."""
        found = replace(self, grids=grids)
        if "_tokens" in vars(self):  # the grids do not change where the images stand
            vars(found)["_tokens"] = self._tokens
        return found

    def crop(self, columns: int) -> Layout:
        """The first ``columns`` columns."""
        if columns >= self.columns:  # what has been worked out of it is kept
            return self
        return replace(
            self,
            number=self.number[:, :columns],
            padding=None if self.padding is None else self.padding[:, :columns],
            native=None if self.native is None else self.native[..., :columns],
            ids=None if self.ids is None else self.ids[:, :columns],
        )

    def select(self, rows: Tensor) -> Layout:
        """Some of the rows, in any order and as often as ``rows``, a LongTensor, names them."""
        rows, order = rows.cpu(), rows.tolist()
        return Layout(
            self.number[rows],
            tuple(self.grids[row] for row in order) if self.grids else (),
            None if self.padding is None else self.padding[rows],
            None if self.native is None else self.native[:, rows],
            None if self.ids is None else self.ids[rows],
            frozenset((new, k) for new, row in enumerate(order) for old, k in self.thinned if old == row),
        )

    def repeat(self, times: int) -> Layout:
        """Every row ``times`` times in a row, as beams and several return sequences lay out a batch."""
        return self.select(torch.arange(self.rows, device="cpu", dtype=torch.long).repeat_interleave(times))


def text(rows: int, columns: int) -> Layout:
    """The layout of a batch without images."""
    return Layout(torch.zeros(rows, columns, dtype=torch.long, device="cpu"))


def read(
    mask: Tensor,
    lengths: Sequence[int] = (),
    grids: Sequence[Shape] = (),
    joined: Callable[[int, int, int], bool] | None = None,
    begins: Tensor | None = None,
) -> Layout:
    """The layout of a batch, from its image tokens.

    ``mask``: BoolTensor (rows, columns), True on image tokens. ``lengths``: token count of every image in reading
    order over the whole batch; it tells images apart that stand side by side without a separator and joins the pieces
    of one that comes in tiles. Without it every unbroken run is an image. ``grids``: the shape of every image, in the
    same order. ``joined``: whether two neighbouring runs are pieces of one image, from the row, the column
    behind the first run and the first column of the second. ``begins``: BoolTensor (rows, columns), True where a
    further image begins though the token before is an image token too.

    Raises ModelError where the lengths do not fill the rows.
    """
    mask = mask.cpu()
    first = mask & ~torch.nn.functional.pad(mask, (1, 0))[:, :-1]
    if begins is not None:
        first |= mask & begins
    if joined is not None:
        ends = mask & ~torch.nn.functional.pad(mask, (0, 1))[:, 1:]
        for row in range(len(mask)):
            starts, last = first[row].nonzero().flatten().tolist(), ends[row].nonzero().flatten().tolist()
            for end, start in zip(last, starts[1:], strict=False):
                first[row, start] = not joined(row, end + 1, start)
    number = first.cumsum(1) * mask
    if len(lengths):
        number = _number(mask, lengths)
    counts = number.amax(1).tolist() if mask.shape[1] else [0] * len(mask)
    if sum(counts) != len(grids):
        return Layout(number)
    stops = torch.tensor(counts, dtype=torch.long, device="cpu").cumsum(0).tolist()
    return Layout(number, tuple(tuple(grids[end - count : end]) for count, end in zip(counts, stops, strict=True)))


def _number(mask: Tensor, lengths: Sequence[int]) -> Tensor:
    tokens = torch.tensor(list(lengths), dtype=torch.long, device="cpu")
    if int(tokens.sum()) != int(mask.sum()):
        raise ModelError(f"the images bring {list(lengths)} features, the prompt has {int(mask.sum())} image tokens")
    counted = torch.arange(1, len(tokens) + 1, dtype=torch.long, device="cpu")
    image = counted.repeat_interleave(tokens)  # of each image token, over the whole batch
    row = mask.nonzero()[:, 0]
    first = counted.new_full((len(mask),), len(tokens) + 1).scatter_reduce(0, row, image, "amin")
    number = counted.new_zeros(mask.shape)
    number[mask] = image - first[row] + 1
    return number


def _joined(before: Tensor | None, after: Tensor | None, first: Layout, second: Layout, fill: int) -> Tensor | None:
    """Two maps of the columns of two layouts side by side, (..., rows, columns); ``fill`` where one is not known."""
    given = before if before is not None else after
    if given is None:
        return None
    parts = (
        part if part is not None else given.new_full((*given.shape[:-1], layout.columns), fill)
        for part, layout in ((before, first), (after, second))
    )
    return torch.cat(list(parts), -1)
