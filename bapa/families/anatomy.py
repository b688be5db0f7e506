"""Where a vision-language model takes in its tokens and where it makes its rotary positions, found by structure."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import nn
from transformers import PreTrainedModel

from bapa.errors import SchemeError, UnsupportedModelError
from bapa.families import facts, tiles
from bapa.schemes import Scheme

# Arguments that bring pictures or their features into a forward; sizes, grids and masks that ride along do not count.
PICTURES = re.compile(
    r"^(?!.*(_size|_grid|_mask|_shape|_length|_indices|_position)).*(pixel_values|image_patches|mm_encoder_outputs|image_embeds|image_features|images$)"
)

# Where configurations keep the ids of tokens that carry image or video features (not of the tags around them).
TOKEN_IDS = ("image_token_id", "image_token_index", "image_patch_id", "video_token_id", "video_token_index")


@dataclass(frozen=True)
class Anatomy:
    """The parts of a vision-language model that a position scheme touches.

    ``model``: the outermost transformers model (its config records the scheme). ``outer``: the module that sees the
    token ids and the pictures before they are merged. ``rotaries``: the rotary embedding modules of the text decoder.
    ``tokens``: LongTensor, the ids of tokens that carry picture features. ``pictures``: the arguments of ``outer``
    that bring pictures in.
    """

    model: PreTrainedModel
    outer: nn.Module
    decoder: nn.Module
    rotaries: tuple[nn.Module, ...]
    layers: tuple[nn.Module, ...]
    axes: int
    tokens: torch.Tensor
    pictures: frozenset[str]

    def check(self, scheme: Scheme) -> None:
        """Raise SchemeError where this model cannot express ``scheme``."""
        attention = self.model.config.get_text_config()._attn_implementation
        if scheme.effects.mask != "native" and attention not in ("sdpa", "eager"):
            raise SchemeError(
                f"image_attention={scheme.effects.mask} needs a mask, which {attention} attention ignores; "
                "load the model with attn_implementation='sdpa' or 'eager'"
            )
        kind = self.model.config.model_type
        if scheme.effects.views and kind not in tiles.ANYRES | tiles.TAGGED:
            raise SchemeError(
                f"{scheme.name!r} needs a model whose inputs tell how thumbnail and tiles stand "
                f"({', '.join(sorted(tiles.ANYRES | tiles.TAGGED))}); {kind} shows none, or does not tell"
            )
        if scheme.axes > self.axes:
            raise SchemeError(
                f"{scheme.name!r} needs {scheme.axes} rotary axes (M-RoPE); {type(self.model).__name__} has one"
            )


def find(model: nn.Module) -> Anatomy:
    """The anatomy of ``model``, which may be wrapped (PEFT, DDP, torch.compile).

    Raises UnsupportedModelError, with the reason, where positions of image tokens cannot be balanced.
    """
    if not isinstance(model, nn.Module):
        hint = f": bapa.from_pretrained({model!r}) loads it" if isinstance(model, str) else ""
        raise UnsupportedModelError(f"{model!r} is no model that has been loaded{hint}")
    top = next((m for m in model.modules() if isinstance(m, PreTrainedModel)), None)
    if top is None:
        raise UnsupportedModelError(
            f"{type(model).__name__} holds no transformers model; pass one, e.g. from AutoModelForImageTextToText"
        )
    name = type(top).__name__
    if getattr(top.config, "is_encoder_decoder", False):
        raise UnsupportedModelError(
            f"{name} is an encoder-decoder: its images stand outside the decoder's sequence, without rotary positions"
        )
    pictures = takes_pictures(top)
    if not pictures:
        parts = (
            (at, part) for at, part in top.named_modules() if part is not top and isinstance(part, PreTrainedModel)
        )
        if (inner := next(((at, type(part).__name__) for at, part in parts if takes_pictures(part)), None)) is not None:
            raise UnsupportedModelError(
                f"{name} has no forward that takes pictures; its part {inner[1]} has: balance model.{inner[0]}"
            )
        raise UnsupportedModelError(
            f"{name} takes no pictures (text-only); image positions exist in vision-language models only"
        )
    if reason := facts.REFUSED.get(facts.kind(top.config)):
        raise UnsupportedModelError(f"{name} cannot be balanced: {reason}")
    try:
        decoder = _owner(top, top.get_input_embeddings())
    except NotImplementedError as error:  # a contrastive model, say: pictures and text, no decoder
        raise UnsupportedModelError(f"{name} has no text decoder that its images stand in") from error
    crossing = next(
        (type(m).__name__ for m in decoder.modules() if re.search("Cross|Sequence.*Align", type(m).__name__)), None
    )
    if crossing:
        raise UnsupportedModelError(
            f"{name} reads images through cross-attention ({crossing}): its image tokens take no rotary positions"
        )
    rotaries = tuple(_rotaries(decoder))
    if not rotaries:
        raise UnsupportedModelError(
            f"{name} has no rotary embedding in {type(decoder).__name__}: its positions are learned, absolute or a bias"
        )
    tokens = image_tokens(top.config)
    # The innermost module that still sees pictures next to token ids: modules() walks outside in.
    outer = [
        m for m in top.modules() if takes_pictures(m) and any(m is decoder or part is decoder for part in m.modules())
    ][-1]
    layers = next((m for m in decoder.children() if isinstance(m, nn.ModuleList)), nn.ModuleList())
    words = getattr(top.config.get_text_config(), "rope_scaling", None) or {}  # where transformers 4 keeps the sections
    axes = 3 if "mrope_section" in words or any(hasattr(rotary, "mrope_section") for rotary in rotaries) else 1
    return Anatomy(top, outer, decoder, rotaries, tuple(layers), axes, tokens, takes_pictures(outer))


def image_tokens(config: Any) -> torch.Tensor:
    """The ids of tokens that carry image or video features, LongTensor, as ``config`` names them.

    Raises UnsupportedModelError where it names none.
    """
    places = (config, getattr(config, "vision_config", None))
    tokens = {int(v) for place in places for name in TOKEN_IDS if isinstance(v := getattr(place, name, None), int)}
    if not tokens:
        raise UnsupportedModelError(
            f"{config.model_type}: its config names no image token (looked for {', '.join(TOKEN_IDS)}), without which "
            "a model may leave pictures out; type model.config.image_token_id = processor.image_token_id, or write "
            "that number into its config.json"
        )
    return torch.tensor(sorted(tokens), dtype=torch.long, device="cpu")


def takes_pictures(module: nn.Module) -> frozenset[str]:
    """The arguments that bring pictures into a forward of ``module`` beside token ids; empty where it takes none."""
    return _taken_by(type(module))  # type: ignore[arg-type]  # mypy takes Module.__hash__ for the class's


@cache
def _taken_by(kind: type[nn.Module]) -> frozenset[str]:
    # By class and once: reading signatures of all modules takes longer than a small model's forward.
    arguments = inspect.signature(kind.forward).parameters
    return frozenset(a for a in arguments if PICTURES.match(a)) if "input_ids" in arguments else frozenset()


def _owner(top: nn.Module, embedding: nn.Module) -> nn.Module:
    return next(m for m in top.modules() if any(child is embedding for child in m.children()))


def _rotaries(decoder: nn.Module) -> Iterator[nn.Module]:
    # Direct children first: some releases keep unused rotary modules inside their attention layers as well.
    for child in decoder.children():
        if "Rotary" in type(child).__name__:
            yield child
