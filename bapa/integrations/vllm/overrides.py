"""The scheme as vLLM's ``hf_overrides``: what to change in a model's config so that an engine runs it balanced."""

from __future__ import annotations

from typing import Any

import torch

from bapa.attach import record
from bapa.attach.entry import NAMES
from bapa.errors import SchemeError, UnsupportedModelError
from bapa.integrations.vllm.architectures import ARCHITECTURES, PREFIX
from bapa.layout import Grid, Image
from bapa.schemes import NATIVE, Scheme, parse


def overrides(config: Any, scheme: str | Scheme, *, rules: bool = False) -> dict[str, Any]:
    """``hf_overrides`` that put a model under ``scheme``; for the native one they take a recorded scheme out.

    ``config``: the model's transformers config. ``rules``: requests may name others, so that the balanced class must
    run, whatever ``scheme`` is.

    Raises:
        UnsupportedModelError: an architecture that this plugin has no class for.
        SchemeError: a scheme that positions per token, whole numbers, cannot express.
    """
    scheme = parse(scheme)
    if scheme == NATIVE and not rules:
        return {name: None for name in NAMES if getattr(config, name, None)}
    architecture = stock(config)
    if scheme != NATIVE:
        check(scheme, ARCHITECTURES[architecture])
    changed: dict[str, Any] = {"architectures": [f"{PREFIX}{architecture}"], "bapa": record.entry(scheme)}
    if ARCHITECTURES[architecture] == 1:
        # vLLM counts positions itself unless the config says that the model has M-RoPE. It is said at the top, not in
        # the text config, so that the rotary embedding stays what it was; the class hands it one of the equal axes.
        changed["mrope_section"] = [_head_dim(config.get_text_config()) // 2, 0, 0]
    return changed


def stock(config: Any) -> str:
    """The architecture that ``config`` names, as vLLM itself calls it.

    Raises UnsupportedModelError where it is none that can be balanced.
    """
    named = [name.removeprefix(PREFIX) for name in config.architectures or ()]
    if len(named) != 1 or named[0] not in ARCHITECTURES:
        raise UnsupportedModelError(
            f"{config.model_type}: architecture {', '.join(named) or '(none)'} is not one that bapa balances in vLLM; "
            f"those are {', '.join(ARCHITECTURES)}"
        )
    return named[0]


def check(scheme: Scheme, axes: int) -> None:
    """Raise SchemeError where vLLM cannot run ``scheme`` on a model with so many rotary axes."""
    effects = scheme.effects
    if effects.features:
        raise SchemeError(f"{scheme.name} changes image features, which is not done in vLLM; use --backend hf")
    if effects.looks:
        raise SchemeError(f"{scheme} changes attention scores, which is not done in vLLM; use --backend hf")
    if effects.mask != "native":
        raise SchemeError(f"image_attention={effects.mask} needs a mask of its own; use --backend hf")
    if not scheme.positions_only:
        raise SchemeError(f"{scheme} gives channels or layers positions of their own; use --backend hf")
    if scheme.axes > axes:
        raise SchemeError(f"{scheme.name!r} needs {scheme.axes} rotary axes (M-RoPE); this model has {axes}")
    grid = Grid(6, 6)
    placed = scheme.place(Image(torch.arange(grid.rows * grid.cols), grid))
    if any(bool(part.double().frac().any()) for part in (placed.offsets, placed.resume)):
        raise SchemeError(f"{scheme} gives fractional positions, vLLM takes whole ones; use --backend hf")


def _head_dim(text: Any) -> int:
    # Gemma 4's layers have heads of their own, and its config refuses to say one size for all.
    return vars(text).get("head_dim") or text.hidden_size // text.num_attention_heads
