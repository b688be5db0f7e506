"""Balanced model classes: vLLM's own, with positions from :mod:`bapa.schemes`.

The classes are made when they are asked for by name, ``BapaLlavaForConditionalGeneration`` and so on, so that only the
model that runs is imported.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor
from vllm import ModelRegistry
from vllm.config import ModelConfig, VllmConfig
from vllm.platforms import current_platform

from bapa.attach import record
from bapa.errors import NotBalancedError, UnsupportedModelError
from bapa.integrations.vllm.architectures import ARCHITECTURES, PREFIX
from bapa.integrations.vllm.checkpoint import lacks_level, older, oriented
from bapa.integrations.vllm.overrides import check, stock
from bapa.integrations.vllm.rules import Rules
from bapa.schemes import NATIVE


def check_attention(model: ModelConfig) -> None:
    """Raise UnsupportedModelError where vLLM would run ``model``, under any scheme, with other attention than its own:
    the tokens of one image see each other in Gemma 3, and vLLM's attention on CPUs leaves that out without a word.
    """
    if model.is_mm_prefix_lm and current_platform.is_cpu():
        raise UnsupportedModelError(
            f"{model.hf_config.model_type}: tokens of an image see each other in this model, and vLLM's attention on "
            "CPUs shows them only what stands before; use a GPU, or --backend hf"
        )


class Balanced:
    """A model whose positions a scheme gives. It goes before vLLM's own class.

    It is a ``SupportsMRoPE`` by its attributes: that protocol as a base would come before vLLM's class and swallow the
    call of its constructor.
    """

    supports_mrope: ClassVar[Literal[True]] = True

    def __init__(self, *, vllm_config: VllmConfig, prefix: str = "") -> None:
        model = vllm_config.model_config
        scheme = record.read(model.hf_config)
        if scheme is None:
            raise NotBalancedError(
                f"{type(self).__name__} runs under a scheme, and its config names none; "
                "start it with bapa serve, or take hf_overrides from bapa.integrations.vllm.overrides"
            )
        if scheme != NATIVE:  # which is named where requests name theirs
            check(scheme, ARCHITECTURES[stock(model.hf_config)])
        if not model.uses_mrope:
            raise NotBalancedError(
                f"{type(self).__name__}: the config lacks mrope_section, so positions would be native"
            )
        if vllm_config.speculative_config is not None:
            raise UnsupportedModelError("speculative decoding gives positions of its own; run balanced models without")
        if model.multimodal_config.is_multimodal_pruning_enabled():
            raise UnsupportedModelError("video_pruning_rate computes positions anew; run balanced models without it")
        check_attention(model)
        own: Any = super()
        own.__init__(vllm_config=vllm_config, prefix=prefix)
        self.bapa = Rules(model.hf_config, scheme, model.max_model_len)
        self._config = model.hf_config
        self._renamed = lacks_level(getattr(model.hf_config.vision_config, "model_type", None))

    def load_weights(self, weights: Iterable[tuple[str, Tensor]]) -> Any:
        """vLLM's own loading, of checkpoints that transformers 5 saved too."""
        own: Any = super()
        return own.load_weights(
            (older(name) if self._renamed else name, oriented(name, weight, self._config)) for name, weight in weights
        )

    def get_mrope_input_positions(self, input_tokens: list[int], mm_features: list[Any]) -> tuple[Tensor, int]:
        """Positions of a prompt, LongTensor (3, tokens), and what to add to the number of a later token."""
        return self.bapa(input_tokens, mm_features, lambda: self.native(input_tokens, mm_features))

    def native(self, input_tokens: list[int], mm_features: list[Any]) -> Tensor:
        """The model's own positions of a prompt, LongTensor (axes, tokens)."""
        own: Any = super()
        return own.get_mrope_input_positions(input_tokens, mm_features)[0]


class OneAxis(Balanced):
    """A model with one rotary axis. The engine keeps three for it, all equal; it is handed one."""

    def native(self, input_tokens: list[int], mm_features: list[Any]) -> Tensor:
        return torch.arange(len(input_tokens))[None]

    def forward(self, input_ids: Tensor | None, positions: Tensor, *args: Any, **kwargs: Any) -> Any:
        """vLLM's own forward. ``positions``: LongTensor (3, tokens)."""
        if positions.dim() != 2:
            raise NotBalancedError(f"{type(self).__name__} got native positions; this vLLM does not ask it for its own")
        own: Any = super()
        return own.forward(input_ids, positions[0], *args, **kwargs)


def __getattr__(name: str) -> type:
    architecture = name.removeprefix(PREFIX)
    if name == architecture or architecture not in ARCHITECTURES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    own = ModelRegistry.models[architecture].load_model_cls()
    made = type(name, (OneAxis if ARCHITECTURES[architecture] == 1 else Balanced, own), {"__module__": __name__})
    return globals().setdefault(name, made)
