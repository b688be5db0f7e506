"""From one image to a batch: what every scheme shares, written once.

The *raster position* P of a token counts the tokens before it (each image token counts one). A scheme moves a token
by its *carry*: the token takes ``P - carry``. Text carries the *shift* that all images before it have caused; an
image token carries what takes it from its place in the raster to the place its scheme gives it. Both follow from the
layout alone, so they can be prepared before the model's own positions are known.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from bapa.layout import Layout
from bapa.schemes.base import Scheme


@dataclass(frozen=True)
class Carry:
    """How far a scheme moves each token of a batch from its raster position.

    ``tokens``: (axes, rows, columns), what to subtract from P. ``shift``: (rows, columns), what text standing right
    behind that column would carry. Long where every value is whole, else float32.
    """

    tokens: Tensor
    shift: Tensor

    def to(self, device: torch.device) -> Carry:
        return Carry(*(t.to(device, non_blocking=True) for t in (self.tokens, self.shift)))


def carry(layout: Layout, scheme: Scheme, place: Tensor | None = None, begin: Tensor | None = None) -> Carry:
    """What ``scheme`` makes every token of ``layout`` carry; see :class:`Carry` for shapes and dtypes.

    Only an ``absolute`` scheme needs the raster positions ``place`` and the columns ``begin`` at which the tokens'
    sequences begin, LongTensors (rows, columns) on the CPU.
    """
    shift = torch.zeros(layout.rows, layout.columns, dtype=torch.float64)
    placed: list[list[tuple[Tensor, Tensor]]] = []  # by row and image: columns, and what their tokens carry
    for row in range(layout.rows):
        if row and place is None and layout.alike(row - 1, row):  # beams, and prompts cut to one pattern
            shift[row] = shift[row - 1]
            placed.append(placed[-1])
            continue
        before = 0.0  # shift of the text in front of the image
        moves = []
        for image in layout.images(row):
            first = int(image.columns[0])
            b = 0.0
            if place is not None and begin is not None:
                start = int(begin[row, first])
                b = float(place[row, first]) - before + (float(shift[row, start - 1]) if start else 0.0)
            placement = scheme.place(image, b)
            columns = torch.arange(first, layout.columns)
            seen = torch.searchsorted(image.columns, columns, right=True)  # tokens of this image so far
            shift[row, first:] = before + seen - placement.resume[seen - 1]
            moves.append((image.columns, image.columns - first + before - placement.offsets))
            before += len(image) - float(placement.resume[-1])
        placed.append(moves)
    tokens = shift.repeat(max((len(moved) for moves in placed for _, moved in moves), default=1), 1, 1)
    for row, moves in enumerate(placed):
        for columns, moved in moves:
            tokens[:, row, columns] = moved.to(tokens.dtype)
    tokens, shift = tokens - scheme.shift, shift - scheme.shift
    whole = not bool(shift.frac().any() | tokens.frac().any())
    dtype = torch.long if whole else torch.float32
    return Carry(tokens.to(dtype), shift.to(dtype))


def segments(native: Tensor, image: Tensor) -> Tensor:
    """Column at which each token's sequence begins: LongTensor (rows, columns).

    ``native``: (axes, rows, columns), the model's own positions; ``image``: BoolTensor (rows, columns). A row holds
    several sequences where it is packed or padded: a sequence begins where the first axis (time) does not go on.
    Padding thus falls apart into sequences of one token, which keep the positions the model gave them.
    """
    time, columns = native[0], torch.arange(native.shape[-1], device=native.device)
    step = torch.diff(time, dim=-1)
    within = image[:, 1:] & image[:, :-1]
    # Behind a video time may fall, to a place still behind the one the video began at.
    first = torch.where(image & ~torch.nn.functional.pad(image, (1, 0))[:, :-1], columns, 0).cummax(dim=-1).values
    goes_on = image[:, :-1] & (time[:, 1:] > time.gather(-1, first)[:, :-1])
    begins = ((step < 0) | ((step == 0) & ~within)) & ~goes_on
    return torch.nn.functional.pad(begins, (1, 0)).mul(columns).cummax(dim=-1).values


def raster(native: Tensor, begin: Tensor) -> Tensor:
    """Raster position of every token, (rows, columns); ``begin`` as :func:`segments` gives it.

    With one rotary axis this is the model's own position. With several, an image advances the native positions by
    less than its tokens, so the raster is counted from the position at which the sequence begins.
    """
    if len(native) == 1:
        return native[0]
    columns = torch.arange(native.shape[-1], device=native.device)
    return native[0].gather(-1, begin) + columns - begin


@dataclass(frozen=True)
class Balanced:
    """A balanced batch.

    ``positions``: (axes, rows, columns). The others, (rows,), belong to the text that would follow the last column:
    its raster position, the position the model itself would give it, and its balanced one.
    """

    positions: Tensor
    raster_end: Tensor
    native_end: Tensor
    end: Tensor


def balance(native: Tensor, layout: Layout, scheme: Scheme) -> Balanced:
    """The positions ``scheme`` gives a batch that starts at column 0.

    ``native``: LongTensor (axes, rows, columns), the model's own positions.
    """
    begin = segments(native, layout.mask.to(native.device))
    place = raster(native, begin)
    known = (place.cpu(), begin.cpu()) if scheme.absolute else ()
    moves = carry(layout, scheme, *known).to(native.device)
    # Images of earlier sequences in a packed row moved nothing in this one.
    earlier = torch.nn.functional.pad(moves.shift + scheme.shift, (1, 0)).gather(-1, begin)
    raster_end = place[:, -1] + 1
    return Balanced(
        positions=place + earlier - moves.tokens,
        raster_end=raster_end,
        native_end=native_end(native),
        end=raster_end + earlier[:, -1] - moves.shift[:, -1],
    )


def resume(origin: Tensor, past: int, layout: Layout, scheme: Scheme) -> tuple[Tensor, Tensor]:
    """Positions of the columns from ``past`` on, for a batch whose earlier columns are cached.

    ``origin``: (rows,), raster position minus column of the running sequences. Returns the positions, (axes, rows,
    columns), and that of the text behind them, (rows,).
    """
    place = origin[:, None] + torch.arange(layout.columns, device=origin.device)
    known = (place.cpu(), torch.zeros_like(layout.number)) if scheme.absolute else ()
    moves = carry(layout, scheme, *known).to(origin.device)
    return (place - moves.tokens)[..., past:], place[:, -1] + 1 - moves.shift[:, -1]


def native_end(native: Tensor) -> Tensor:
    """The position the model itself gives the text behind the last column, (rows,): one after the largest axis."""
    return native[..., -1].amax(0) + 1
