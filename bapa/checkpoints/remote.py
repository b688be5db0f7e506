"""A model that runs under balanced positions by itself (Balanced Position Assignment, arXiv 2509.21984 v1).

The tokens of one image share one rotary position, or stand ``DELTA`` apart; the text goes on a chosen distance behind.
This file needs transformers and torch only. It is written beside a checkpoint by ``bapa export --self-contained`` and
read by ``AutoModelForImageTextToText.from_pretrained(FOLDER, trust_remote_code=True)``.
"""

from __future__ import annotations

import inspect
import threading
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad
from transformers import LlavaForConditionalGeneration as Base  # the class of the checkpoint

# Filled in by the export. The rule: text stands DISTANCE positions behind an image's first token, or its middle one
# (FROM_MIDDLE), or MULTIPLE times as far as natively where that is given; its tokens stand DELTA of their native
# distances apart, in the order they are read or, where MERGE x MERGE patches of a told grid make a token, on rows and
# columns. Then the modules concerned, the arguments that bring pictures, the tokens that carry their features, and
# whether pictures may stand side by side with nothing between them.
DISTANCE: float = 1
MULTIPLE: float | None = None
FROM_MIDDLE: bool = False
DELTA: float = 0
MERGE: int | None = None
OUTER = "model"
ROTARIES = ("model.language_model.rotary_emb",)
PICTURES = ("pixel_values", "mm_encoder_outputs")
TOKENS = (32000,)
SIDE_BY_SIDE = True

SLOT = "_bapa"


class BalancedModel(Base):
    """The checkpoint's own class with balanced rotary positions; masks, caches and token order stay as they are."""

    def __init__(self, config: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(config, *args, **kwargs)
        outer = self.get_submodule(OUTER)
        arguments = list(inspect.signature(outer.forward).parameters)
        self._bapa_calls: dict[int, dict[str, Any]] = {}  # by thread: one model may serve several

        def enter(module: Any, args: Any, kwargs: Any) -> None:
            call = {**dict(zip(arguments, args, strict=False)), **kwargs}
            self._bapa_calls[threading.get_ident()] = _begin(call)

        def rotate(module: Any, args: Any, kwargs: Any) -> Any:
            call = self._bapa_calls.get(threading.get_ident())
            if call is None:  # the decoder was called on its own: text only
                return None
            native = kwargs["position_ids"] if "position_ids" in kwargs else args[1]
            if call["positions"] is None:
                call["positions"] = _positions(call, native if native.dim() == 3 else native[None])
            found = call["positions"]
            ids = found[0] if native.dim() == 2 else found.expand(len(native), -1, -1)
            if "position_ids" in kwargs:
                return args, {**kwargs, "position_ids": ids}
            return (args[0], ids, *args[2:]), kwargs

        def leave(module: Any, args: Any, kwargs: Any, output: Any) -> None:
            call = self._bapa_calls.pop(threading.get_ident(), None)
            cache = getattr(output, "past_key_values", None)
            if call is not None and call["next"] is not None and cache is not None:
                setattr(cache, SLOT, call["next"])

        self._bapa_handles = [
            outer.register_forward_pre_hook(enter, with_kwargs=True),
            outer.register_forward_hook(leave, with_kwargs=True, always_call=True),
            *(self.get_submodule(name).register_forward_pre_hook(rotate, with_kwargs=True) for name in ROTARIES),
        ]

    @classmethod
    def is_custom_code(cls) -> bool:
        """False: weights are named and initialised as those of the class it derives from."""
        return False

    def unbalance(self) -> None:
        """Take the rule off: from now on the model is the plain class."""
        while self._bapa_handles:
            self._bapa_handles.pop().remove()


def _begin(call: dict[str, Any]) -> dict[str, Any]:
    """One forward. ``number``: LongTensor (rows, all columns so far), 0 on text, k on the row's k-th image; None where
    all is text behind a cache, or nothing but text so far. ``fresh``: the same of this call's columns alone. ``held``:
    what :func:`_stand` gave for the cached ones. ``past``: cached columns.
    """
    ids, cache = call.get("input_ids"), call.get("past_key_values")
    if ids is None:
        raise ValueError("this model balances positions and needs input_ids to see where images stand")
    rows, columns = ids.shape
    past = 0 if cache is None else int(cache.get_seq_length())
    state = getattr(cache, SLOT, None) if past else None
    if past and state is None:
        raise ValueError("the cache was filled by another model; start with a fresh cache")
    number = _images(ids.cpu(), call) if any(call.get(name) is not None for name in PICTURES) else None
    fresh, held = number, None
    if state is not None:
        state = _rows(state, rows)
        known = state["number"].shape[1]
        if number is not None or past < known:  # a further image, or a cache cropped back: count from the columns
            before = pad(state["number"][:, :past], (0, max(0, past - known)))
            number = _join(before, torch.zeros(rows, columns, dtype=torch.long) if number is None else number)
            held = pad(state["stand"][:, :past], (0, 0, 0, max(0, past - known)))
    call = {"number": number, "fresh": fresh, "held": held, "grids": call.get("image_grid_thw"), "past": past}
    return {**call, "state": state, "size": (rows, columns), "positions": None, "next": None}


def _positions(call: dict[str, Any], native: Tensor) -> Tensor:
    """Balanced positions, (axes or 1, rows, columns), long or float32. ``native``: the model's own, (axes, rows or 1,
    columns).
    """
    state, number, (rows, columns) = call["state"], call["number"], call["size"]
    if state is not None and number is None:  # decoding: the model's own, moved by what the images took away
        call["next"] = state
        return native - state["offset"][:, None]
    all_text = number is None
    number = torch.zeros(rows, columns, dtype=torch.long) if all_text else number
    native = native.expand(-1, rows, -1)
    fresh = torch.zeros(rows, columns, dtype=torch.long) if call["fresh"] is None else call["fresh"]
    stand = _stand(fresh, call["grids"], native.cpu())
    stand = stand if call["held"] is None else torch.cat([call["held"], stand], 1)
    tokens, shift = (carried.to(native.device) for carried in _carry(number, stand))
    if state is None:
        begin = _begins(native, (number > 0).to(native.device))
        place = native[0]
        if len(native) > 1:  # M-RoPE: an image advances by less than its tokens, so the tokens are counted
            place = native[0].gather(-1, begin) + torch.arange(columns, device=native.device) - begin
        earlier = pad(shift, (1, 0)).gather(-1, begin)  # images of earlier sequences in a row moved nothing in this one
        positions, end = place + earlier - tokens, place[:, -1] + 1 + earlier[:, -1] - shift[:, -1]
        origin = place[:, -1] + 1 - columns
    else:
        origin = state["origin"]
        place = origin[:, None] + torch.arange(number.shape[1], device=native.device)
        positions, end = (place - tokens)[..., call["past"] :], place[:, -1] + 1 - shift[:, -1]
    offset = native[..., -1].amax(0) + 1 - end
    call["next"] = {"number": number, "stand": stand, "origin": origin, "offset": offset}
    return native if all_text else positions


def _carry(number: Tensor, stand: Tensor) -> tuple[Tensor, Tensor]:
    """What the rule subtracts from each token's raster position, (axes or 1, rows, columns), and from that of text
    right behind it, (rows, columns).
    """
    shift = torch.zeros(number.shape, dtype=torch.float64)
    placed = []
    for row, line in enumerate(number):
        before = 0.0
        for k in range(1, int(line.max()) + 1):
            columns = (line == k).nonzero().flatten()
            first = int(columns[0])
            offsets, resume = _place(stand[row, columns].T if MERGE else (columns - first)[None])
            seen = torch.searchsorted(columns, torch.arange(first, len(line)), right=True)
            shift[row, first:] = before + seen - resume[seen - 1]
            placed.append((row, columns, columns - first + before - offsets))
            before += len(columns) - float(resume[-1])
    tokens = shift.repeat(stand.shape[2] if MERGE else 1, 1, 1)
    for row, columns, moved in placed:
        tokens[:, row, columns] = moved
    whole = not bool(shift.frac().any() | tokens.frac().any())
    kind = torch.long if whole else torch.float32
    return tokens.to(kind), shift.to(kind)


def _place(own: Tensor) -> tuple[Tensor, Tensor]:
    """Where an image's tokens go, (axes, tokens), and the text after each of them, (tokens,), counted from the first
    token. ``own``: where they stand by themselves, (axes, tokens).
    """
    length = (own.amax(0).cummax(0).values + 1).double()
    middle = (length - 1) / 2 if FROM_MIDDLE else torch.zeros_like(length)
    distance = DISTANCE if MULTIPLE is None else MULTIPLE * (length - middle)
    offsets, resume = DELTA * own.double(), DELTA * middle + distance
    if bool(resume[-1] <= offsets.max()):
        raise ValueError(
            f"an image of {own.shape[1]} tokens is too large for this model's rule: text would stand inside"
        )
    return offsets, resume


def _stand(number: Tensor, grids: Tensor | None, native: Tensor) -> Tensor:
    """Time, row and column of every image token within its image, (rows, columns, 3), 0 on text. ``grids``: frames,
    patch rows and patch columns of every image; where they do not come along, ``native`` positions tell them.
    """
    stand = torch.zeros(*number.shape, 3 if MERGE else 0, dtype=torch.long)
    told = None if grids is None else iter(grids.tolist())
    for row, line in enumerate(number if MERGE else ()):
        for k in range(1, int(line.max()) + 1):
            place = (line == k).nonzero().flatten()
            own = native[:, row, place]
            frames, high, wide = (own.amax(1) - own.amin(1) + 1).tolist() if told is None else next(told, (0, 0, 0))
            if told is not None:
                high, wide = high // (MERGE or 1), wide // (MERGE or 1)
            if frames != 1 or high * wide != len(place):
                raise ValueError("this model's rule is told for whole still images; videos and pieces have no grid")
            count = torch.arange(len(place))
            stand[row, place] = torch.stack([0 * count, count // wide, count % wide], 1)
    return stand


def _begins(native: Tensor, image: Tensor) -> Tensor:
    """Column at which each token's sequence begins, (rows, columns): where the first axis does not go on."""
    step = torch.diff(native[0], dim=-1)
    starts = (step < 0) | ((step == 0) & ~(image[:, 1:] & image[:, :-1]))
    columns = torch.arange(native.shape[-1], device=native.device)
    return pad(starts, (1, 0)).mul(columns).cummax(dim=-1).values


def _images(ids: Tensor, call: dict[str, Any]) -> Tensor:
    """0 on text, k on the row's k-th image: each run of image tokens, cut where pictures stand side by side."""
    mask = torch.isin(ids, torch.tensor(TOKENS))
    number = (mask & ~pad(mask, (1, 0))[:, :-1]).cumsum(1) * mask
    total, runs = int(mask.sum()), int(number.amax(1).sum())
    pixels, features = call.get("pixel_values"), (call.get("mm_encoder_outputs") or {}).get("image")
    lengths: list[int] = []
    if SIDE_BY_SIDE and features is not None:
        lengths = [len(image) for image in features.pooler_output]
    elif SIDE_BY_SIDE and isinstance(pixels, Tensor) and len(pixels) and total % len(pixels) == 0:
        lengths = [total // len(pixels)] * len(pixels)
    if len(lengths) <= runs or sum(lengths) != total:
        return number
    image = torch.arange(1, len(lengths) + 1).repeat_interleave(torch.tensor(lengths))
    for row, line in enumerate(mask):
        mine, image = image[: int(line.sum())], image[int(line.sum()) :]
        if len(mine):
            number[row, line] = mine - mine[0] + 1
    return number


def _join(before: Tensor, after: Tensor) -> Tensor:
    """Columns behind columns; an image cut by the seam goes on."""
    cut = (before[:, -1:] > 0) & (after[:, :1] > 0)
    return torch.cat([before, torch.where(after > 0, after + before.amax(1, keepdim=True) - cut.long(), 0)], 1)


def _rows(state: dict[str, Tensor], rows: int) -> dict[str, Tensor]:
    """The state with each row repeated, as beams and several return sequences repeat a cache's."""
    times, rest = divmod(rows, len(state["number"]))
    if rest or not times:
        raise ValueError(f"the cache holds {len(state['number'])} rows, this call has {rows}; prefill again")
    return {name: value.repeat_interleave(times, 0) for name, value in state.items()}
