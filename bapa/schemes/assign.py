"""From one image to a batch: what every scheme shares, written once.

The *raster position* P of a token counts the tokens before it (each image token counts one). A scheme moves a token
by its *carry*: the token takes ``P - carry``. Text carries the *shift* that all images before it have caused; an
image token carries what takes it from its place in the raster to the place its scheme gives it. Both follow from the
layout alone, so they can be prepared before the model's own positions are known.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from bapa.errors import SchemeError
from bapa.layout import Layout
from bapa.schemes.base import Scheme

TOLD_APART = 2**23  # positions that float32 holds to a half


@dataclass(frozen=True)
class Carry:
    """How far a scheme moves each token of a batch from its raster position.

    ``tokens``: (axes, rows, columns), what to subtract from P. ``shift``: (rows, columns), what text standing right
    behind that column would carry. Long where every value is whole, else float32.
    """

    tokens: Tensor
    shift: Tensor

    def crop(self, columns: int) -> Carry:
        """The first ``columns`` columns."""
        return Carry(self.tokens[..., :columns], self.shift[:, :columns])

    def to(self, device: torch.device) -> Carry:
        return Carry(*(t.to(device, non_blocking=True) for t in (self.tokens, self.shift)))


def carry(layout: Layout, scheme: Scheme, place: Tensor | None = None, begin: Tensor | None = None) -> Carry:
    """What ``scheme`` makes every token of ``layout`` carry; see :class:`Carry` for shapes and dtypes.

    Padding carries what the text before it does. Only an ``absolute`` scheme needs the raster positions ``place`` and
    the columns ``begin`` at which the tokens' sequences begin, LongTensors (rows, columns) on the CPU.
    """
    order: list[int] = []  # for each row, the first of those like it: beams, and prompts cut to one pattern
    for row in range(layout.rows):
        order.append(order[-1] if row and place is None and layout.alike(row - 1, row) else row)
    told = list(dict.fromkeys(order))
    shift = torch.zeros(len(told), layout.columns, dtype=torch.float64, device="cpu")
    placed: list[list[tuple[Tensor, Tensor]]] = []  # by row told and image: columns, and what their tokens carry
    whole = True
    for at, row in enumerate(told):
        rank = None if layout.padding is None else (~layout.padding[row]).cumsum(0) - 1  # among what is no padding
        before, filled = 0.0, 0  # shift of the text in front of the image, and up to where it has been told
        along = shift.new_zeros(layout.columns if rank is None else int(rank[-1]) + 1)
        moves = []
        for image in layout.images(row):
            spots = image.columns if rank is None else rank[image.columns]
            first, stop = int(spots[0]), int(spots[-1]) + 1
            along[filled:first] = before
            b = 0.0
            if place is not None and begin is not None:
                column = int(image.columns[0])
                start = int(begin[row, column]) if rank is None else int(rank[int(begin[row, column])])
                b = float(place[row, column]) - before + (float(along[start - 1]) if start > 0 else 0.0)
            placement = scheme.place(image if rank is None else replace(image, columns=spots), b)
            whole = whole and not (placement.offsets.is_floating_point() or placement.resume.is_floating_point())
            seen = along.new_zeros(stop - first, dtype=torch.long)  # tokens of this image so far
            seen[spots - first] = 1
            seen = seen.cumsum(0)
            along[first:stop] = before + seen - placement.resume[seen - 1]
            moves.append((image.columns, spots - first + before - placement.offsets))
            before += len(image) - float(placement.resume[-1])
            filled = stop
        along[filled:] = before
        shift[at] = along if rank is None else torch.nn.functional.pad(along, (1, 0))[rank + 1]
        placed.append(moves)
    axes = max((len(moved) for moves in placed for _, moved in moves), default=1)
    tokens = shift.repeat(axes, 1, 1)
    for at, moves in enumerate(placed):
        if moves:
            moved = torch.cat([moved.to(tokens.dtype).expand(axes, -1) for _, moved in moves], -1)
            tokens[:, at, torch.cat([columns for columns, _ in moves])] = moved
    if scheme.shift:
        tokens, shift = tokens - scheme.shift, shift - scheme.shift
    if tokens.numel() and max(abs(end.item()) for end in tokens.aminmax()) > TOLD_APART:
        raise SchemeError(
            f"{scheme}: tokens would stand {TOLD_APART} positions away and more; float32 does not tell them"
        )
    whole = whole or not bool(shift.frac().any() | tokens.frac().any())
    dtype = torch.long if whole else torch.float32
    tokens, shift = tokens.to(dtype), shift.to(dtype)
    if len(told) == layout.rows:
        return Carry(tokens, shift)
    like = torch.tensor([told.index(row) for row in order], dtype=torch.long, device="cpu")
    return Carry(tokens[:, like], shift[like])


def uncounted(native: Tensor, padding: Tensor) -> Tensor | None:
    """What of ``padding``, BoolTensor (rows, columns), the positions ``native``, (axes, rows, columns), leave out.

    Generation counts without padding. A plain forward of a one-axis model counts columns, so a gap takes as many
    positions as it has columns, and a hidden image token is as far from the others as if it were seen. Padding that
    takes positions is a token like any other. None where nothing is left out.
    """
    kept = ~padding
    column = torch.arange(padding.shape[1], device=padding.device, dtype=torch.long).expand_as(padding)
    before = _before(kept)
    gap = kept & (before >= 0) & (column - before > 1)
    if bool(gap.any()):
        earlier = before.clamp(min=0)
        step = native - native.gather(-1, earlier.expand_as(native))
        runs = (gap & (step == column - earlier).all(0)).to(padding.device)
        # Padding is counted where the next token behind it says so.
        following = torch.where(kept, column, padding.shape[1]).flip(-1).cummin(-1).values.flip(-1)
        known = torch.nn.functional.pad(runs, (0, 1)).gather(-1, following)
        padding = padding & ~known
    return padding if bool(padding.any()) else None


def _before(kept: Tensor) -> Tensor:
    """The last column before each that is ``kept``, LongTensor of its shape (rows, columns); -1 where there is none."""
    column = torch.arange(kept.shape[1], device=kept.device, dtype=torch.long)
    last = torch.where(kept, column, -1).cummax(-1).values
    return torch.nn.functional.pad(last, (1, 0), value=-1)[:, :-1]


def segments(native: Tensor, image: Tensor, padding: Tensor | None = None) -> Tensor:
    """Column at which each token's sequence begins: LongTensor (rows, columns).

    ``native``: (axes, rows, columns), the model's own positions; ``image``, ``padding``: BoolTensors (rows, columns).
    A row holds several sequences where it is packed: a sequence begins where the first axis (time) does not go on from
    the token before, padding apart. Padding falls apart into sequences of one token, which keep the positions the model
    gave them, and so does padding at the ends of a row that no mask tells of.
    """
    time, columns = native[0], torch.arange(native.shape[-1], device=native.device, dtype=torch.long)
    if padding is None:
        seen = torch.nn.functional.pad(image[:, :-1], (1, 0))
        step = torch.nn.functional.pad(time.diff(), (1, 0))
        follows = columns > 0
    else:
        before = _before(~padding)
        follows, earlier = before >= 0, before.clamp(min=0)
        seen = image.gather(-1, earlier) & follows
        step = time - time.gather(-1, earlier)
    falls = (step < 0) | ((step == 0) & ~(image & seen))
    if len(native) > 1:  # behind a video time may fall, to a place still behind the one the video began at
        first = torch.where(image & ~seen, columns, 0).cummax(dim=-1).values
        falls &= ~(seen & (time > time.gather(-1, first)))
    kept = torch.zeros_like(image) if padding is None else padding
    first_kept = (~kept).long().argmax(-1, keepdim=True).expand(time.shape[0], -1)
    falls &= time <= time.gather(-1, first_kept) + 1
    begins = falls & follows  # what has no token before it begins at column 0, or is padding
    if padding is None:
        return begins.mul(columns).cummax(dim=-1).values
    begin = ((begins | ~follows) & ~padding).mul(columns).cummax(dim=-1).values
    return torch.where(padding, columns, begin)


def raster(native: Tensor, begin: Tensor, padding: Tensor | None = None) -> Tensor:
    """Raster position of every token, (rows, columns); ``begin`` as :func:`segments` gives it.

    With one rotary axis this is the model's own position. With several, an image advances the native positions by
    less than its tokens, so the raster is counted from the position at which the sequence begins.
    """
    if len(native) == 1:
        return native[0]
    rank = ranks(native.shape[-1], padding, native.device)
    return native[0].gather(-1, begin) + rank - rank.expand_as(begin).gather(-1, begin)


def ranks(columns: int, padding: Tensor | None, device: torch.device) -> Tensor:
    """How many tokens that are no padding stand before each column, (rows or 1, columns)."""
    if padding is None:
        return torch.arange(columns, device=device, dtype=torch.long)[None]
    kept = (~padding).long()
    return kept.cumsum(-1) - kept


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

    ``native``: LongTensor (axes, rows, columns), the model's own positions. ``layout``: of these columns and of those
    still to come, where they are known: an image cut by the end is placed as the whole one.
    """
    stop = native.shape[-1]
    fed = layout.crop(stop)
    padding = None if fed.padding is None else fed.padding.to(native.device)
    begin = segments(native, fed.mask.to(native.device), padding)
    if scheme.scope == "global":  # of one prompt, where a row holds several
        known = torch.nn.functional.pad(begin.cpu(), (0, layout.columns - stop), mode="replicate")
        starts = torch.where(layout.mask, known, -1)
        new = (torch.nn.functional.pad(starts.cummax(1).values, (1, 0), value=-1)[:, :-1] < starts) & layout.mask
        layout = replace(layout, number=torch.where(layout.mask, new.cumsum(1), 0), grids=())
    place = raster(native, begin, padding)
    moves = _moves(layout, scheme, place, begin)
    # Images of earlier sequences in a packed row moved nothing in this one.
    caused = moves.shift + scheme.shift if scheme.shift else moves.shift
    earlier = torch.nn.functional.pad(caused, (1, 0)).gather(-1, begin)
    raster_end = at_end(place, fed) + 1
    return Balanced(
        positions=place + earlier - moves.tokens,
        raster_end=raster_end,
        native_end=native_end(native, fed),
        end=raster_end + at_end(earlier - moves.shift, fed),
    )


def resume(origin: Tensor, native: Tensor, past: int, layout: Layout, scheme: Scheme) -> tuple[Tensor, Tensor]:
    """Positions of the columns from ``past`` on, for a batch whose earlier columns are cached.

    ``origin``: (rows,), raster position of the running sequences minus their tokens before it. ``native``: (axes,
    rows, columns from ``past`` on), the model's own positions; those of one axis are the raster, padding included.
    ``layout``: of all columns, and of those still to come where they are known. Returns the positions, (axes, rows,
    columns), and that of the text behind them, (rows,).
    """
    fed = layout.crop(past + native.shape[-1])
    padding = None if fed.padding is None else fed.padding.to(origin.device)
    place = (origin[:, None] + ranks(fed.columns, padding, origin.device)).expand(fed.rows, -1)
    if len(native) == 1:
        place = torch.cat([place[:, :past], native[0].to(place)], -1)
    moves = _moves(layout, scheme, place, torch.zeros_like(place, dtype=torch.long))
    return (place - moves.tokens)[..., past:], at_end(place + 1 - moves.shift, fed)


def begun(origin: Tensor, native: Tensor, past: int, layout: Layout) -> Tensor:
    """``origin``, as :func:`resume` takes it; of a row that was all padding so far, from where its first token stands.

    ``native``: (axes, rows, columns from ``past`` on), the model's own positions. ``layout``: of all columns.
    """
    if layout.padding is None:
        return origin
    kept = ~layout.padding
    first = kept[:, past:].long().argmax(-1, keepdim=True).to(native.device)
    late = ~kept[:, :past].any(-1)
    return torch.where(late.to(origin.device), native[0].gather(-1, first)[:, 0].to(origin), origin)


def _moves(layout: Layout, scheme: Scheme, place: Tensor, begin: Tensor) -> Carry:
    """:func:`carry` of the columns that have a ``place``, (rows, columns), on its device."""
    stop = place.shape[-1]
    if not scheme.absolute:
        return carry(layout, scheme).crop(stop).to(place.device)
    further = torch.arange(layout.columns - stop, device="cpu", dtype=torch.long)
    place, known = place.cpu(), begin.cpu()
    places = torch.cat([place, place[:, -1:] + 1 + further], -1)
    begins = torch.cat([known, known[:, -1:].expand(-1, len(further))], -1)
    return carry(layout, scheme, places, begins).crop(stop).to(begin.device)


def at_end(values: Tensor, layout: Layout) -> Tensor:
    """Of ``values``, (rows, columns), those of each row's last column that is no padding, (rows,); of the last of all
    where there is none. ``values`` may be of the last columns of ``layout`` alone.
    """
    if layout.padding is None:
        return values[:, -1]
    last = values.shape[-1] - 1 - (~layout.padding).flip(-1).long().argmax(-1)
    return values.gather(-1, last.clamp(min=0).to(values.device)[:, None])[:, 0]


def native_end(native: Tensor, layout: Layout | None = None) -> Tensor:
    """The position the model itself gives the text behind the last token, (rows,): one after the largest axis.

    ``native``: (axes, rows, columns), the last columns of ``layout``, which tells what of them is padding.
    """
    if layout is None or layout.padding is None:
        return native[..., -1].amax(0) + 1
    return at_end(native.amax(0), layout) + 1
