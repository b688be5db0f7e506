"""Balance a model, restore it, ask it for its positions."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from bapa.attach import entry, record
from bapa.attach.check import check
from bapa.attach.hooks import Attachment
from bapa.attach.rotary import ids_of
from bapa.attach.state import Tie
from bapa.errors import ModelError, SchemeError
from bapa.families.anatomy import Anatomy, find
from bapa.schemes import NATIVE, Scheme, make, parse

Model = TypeVar("Model", bound=nn.Module)


def balance(model: Model, scheme: str | Scheme = "bapa", **options: object) -> Model:
    """Put ``model`` under ``scheme``, in place, and return it.

    ``model``: any transformers vision-language model with a rotary text decoder, wrapped (PEFT, DDP, torch.compile)
    or not. ``scheme``: a name (``options`` are its options), the text form ``"bapa:distance=native"``, or a
    :class:`~bapa.schemes.Scheme`. ``"native"`` takes balancing off. The choice is recorded in ``model.config.bapa``.
    Balancing again replaces the scheme.

    Raises SchemeError for an unknown scheme or option or one that the model cannot express, UnsupportedModelError where
    the model cannot be balanced; the model then stays under what it had.
    """
    chosen = _scheme(scheme, options)
    anatomy = find(model)
    check(anatomy, chosen)
    _detach(anatomy)
    _forget_graphs()
    if chosen == NATIVE:
        record.erase(anatomy.model.config)
    else:
        tie = _TIES.setdefault(anatomy.outer, {}).setdefault(chosen, Tie(chosen))
        tie.attached = True
        anatomy.outer._bapa = Attachment(anatomy, chosen, tie)  # type: ignore[assignment]
        record.write(anatomy.model.config, chosen)
    return model


def restore(model: Model) -> Model:
    """Take every trace of a scheme off ``model``, in place, and return it: it computes what it computed before, bit
    for bit.
    """
    return balance(model, "native")


@contextmanager
def balanced(model: Model, scheme: str | Scheme = "bapa", **options: object) -> Iterator[Model]:
    """``model`` under ``scheme`` inside a ``with`` block; afterwards it is as it was before, under whichever scheme.

    Blocks on one model may end in any order: the one that was entered last rules, and after the last has ended the
    model is as it was before the first.
    """
    anatomy = find(model)
    block = _Block(_scheme(scheme, options), scheme_of(model), entry.held(anatomy.model.config))
    balance(model, block.scheme)
    blocks = _BLOCKS.setdefault(anatomy.outer, [])
    blocks.append(block)
    try:
        yield model
    finally:
        place = next(i for i, other in enumerate(blocks) if other is block)
        del blocks[place]
        if place < len(blocks):  # a block entered later rules; it comes back to what was before this one
            blocks[place].before, blocks[place].record = block.before, block.record
        else:
            balance(model, block.before or "native")
            entry.put(anatomy.model.config, block.record)


@dataclass
class _Block:
    """A running :func:`balanced`: its ``scheme``, and what the model comes back to when it ends."""

    scheme: Scheme
    before: Scheme | None
    record: dict[str, Any]


_TIES: WeakKeyDictionary[nn.Module, dict[Scheme, Tie]] = WeakKeyDictionary()  # by outer module
_BLOCKS: WeakKeyDictionary[nn.Module, list[_Block]] = WeakKeyDictionary()  # by outer module, in the order entered


def scheme_of(model: nn.Module) -> Scheme | None:
    """The scheme ``model`` runs under; None where it is native."""
    anatomy = find(model)
    attachment = _attachment(anatomy)
    if attachment is None:
        return None
    # A self-contained checkpoint brings an Attachment and a Scheme of its own.
    return parse(attachment.scheme if isinstance(attachment.scheme, Scheme) else str(attachment.scheme))


class _Seen(Exception):
    """Carries the positions out of a forward that need not go on."""

    def __init__(self, positions: Tensor) -> None:
        super().__init__()
        self.positions = positions


@torch.no_grad()
def positions(model: nn.Module, **inputs: Any) -> Tensor:
    """What the rotary embedding sees when ``model`` is called with ``inputs``: Tensor (axes, batch, tokens), long or
    float32.

    ``inputs`` are those of a forward; pictures may be left out. A plain forward gives a padded row of a one-axis
    model the ids of its columns; pass ``position_ids`` to see what generation does.
    """
    anatomy = find(model)
    attachment = _attachment(anatomy)
    mine = threading.get_ident()

    # Another thread may be calling the hooks while they come or go, and then leave kwargs out.
    def seen(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any] | None = None) -> None:
        if threading.get_ident() == mine and kwargs is not None:
            raise _Seen(ids_of(args, kwargs))

    # These run behind the scheme's own hooks.
    handles = [rotary.register_forward_pre_hook(seen, with_kwargs=True) for rotary in anatomy.rotaries]
    held = {module: module.rope_deltas for module in anatomy.model.modules() if hasattr(module, "rope_deltas")}
    try:
        with attachment.trusting_ids() if attachment else nullcontext():
            anatomy.model(**inputs)
    except _Seen as found:
        positions = found.positions if found.positions.dim() == 3 else found.positions[None]
        tokens = inputs["input_ids"] if inputs.get("input_ids") is not None else inputs["inputs_embeds"]
        return positions.expand(-1, len(tokens), -1).clone()
    finally:
        for handle in handles:
            handle.remove()
        for module, deltas in held.items():  # which a running generation needs
            module.rope_deltas = deltas
    raise ModelError(f"{type(anatomy.model).__name__} did not reach its rotary embedding with these inputs")


def _scheme(scheme: str | Scheme, options: dict[str, object]) -> Scheme:
    if not options:
        return parse(scheme)
    if not isinstance(scheme, str) or ":" in scheme:
        raise SchemeError(f"options {sorted(options)} go with a scheme's plain name, not with {str(scheme)!r}")
    return make(scheme, **options)


def _forget_graphs() -> None:
    """Let what torch.compile has made be made again: its graphs do not notice that hooks come or go."""
    if dynamo := sys.modules.get("torch._dynamo"):
        dynamo.reset()


def _attachment(anatomy: Anatomy) -> Attachment | None:
    return getattr(anatomy.outer, "_bapa", None)


def _detach(anatomy: Anatomy) -> None:
    if attachment := _attachment(anatomy):
        attachment.detach()
        del anatomy.outer._bapa
