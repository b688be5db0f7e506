"""What transformers makes of the prompts of a tiny checkpoint, one at a time."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

import bapa
from bapa.checkpoints import load


class Reference:
    """The checkpoint in ``folder`` under transformers.

    ``forbidden``: tokens that are not to be written. ``causal``: image tokens do not see each other in any family.
    ``dtype``: of the weights.
    """

    def __init__(self, folder: Path, forbidden: Sequence[int], *, causal: bool = False, dtype: str = "float32") -> None:
        loaded = load(str(folder), dtype=dtype)
        self.model, self.processor = loaded.model, loaded.processor
        self.model.generation_config.suppress_tokens = list(forbidden)
        self.model.generation_config.eos_token_id = None
        self.causal = causal

    def inputs(self, prompt: str, pictures: list[Image.Image]) -> dict[str, Any]:
        made = self.processor(text=[prompt], images=pictures or None, return_tensors="pt", add_special_tokens=False)
        return {name: value for name, value in made.items() if not (self.causal and name == "token_type_ids")}

    def write(self, scheme: str, inputs: dict[str, Any], tokens: int) -> list[int]:
        """The next tokens, greedily."""
        with bapa.balanced(self.model, scheme), torch.no_grad():
            written = self.model.generate(**inputs, max_new_tokens=tokens, do_sample=False)
        return written[0, inputs["input_ids"].shape[1] :].tolist()

    def positions(self, scheme: str, inputs: dict[str, Any], written: Sequence[int]) -> list[list[int]]:
        """The axes of every token, the written ones included."""
        longer = _longer(inputs, written)
        with bapa.balanced(self.model, scheme):
            found = bapa.positions(self.model, **longer)[:, 0]
        return found.T.tolist()

    def scores(self, scheme: str, inputs: dict[str, Any], written: Sequence[int]) -> list[float]:
        """The log probability of every written token."""
        width = inputs["input_ids"].shape[1]
        with bapa.balanced(self.model, scheme), torch.no_grad():
            told = self.model(**_longer(inputs, written)).logits[0, width - 1 : -1].log_softmax(-1)
        return told[range(len(written)), list(written)].tolist()


def _longer(inputs: dict[str, Any], written: Sequence[int]) -> dict[str, Any]:
    """``inputs`` with the ``written`` tokens behind them."""
    width = inputs["input_ids"].shape[1]
    more = torch.tensor([list(written)], dtype=torch.long)
    return {
        name: torch.cat([value, more if name == "input_ids" else _ends(name, more)], 1)
        if isinstance(value, Tensor) and value.shape == (1, width)
        else value
        for name, value in inputs.items()
    }


def _ends(name: str, tokens: Tensor) -> Tensor:
    return torch.ones_like(tokens) if name == "attention_mask" else torch.zeros_like(tokens)
