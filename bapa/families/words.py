"""Which words of the vocabulary embeddings are, told by their bits."""

from __future__ import annotations

import re
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel

ROWS = 4096  # embedded at a time
_ID = re.compile(r"_(token|patch)_(id|index)$")
_BITS = {1: torch.int8, 2: torch.int16, 4: torch.int32, 8: torch.int64}


class Words:
    """The vocabulary of one model. Embeddings that come from it equal its rows bit for bit; features of pictures and
    tuned prompts do not.
    """

    def __init__(self, model: PreTrainedModel) -> None:
        self.embed = model.get_input_embeddings  # a bound method, so that a copied model brings its own
        self.config = model.config
        self._kept: tuple[tuple[Any, ...], Tensor] | None = None

    @torch.no_grad()
    def all(self, embeds: Tensor) -> bool:
        """Whether every embedding of ``embeds``, (rows, columns, channels), is a word of the vocabulary."""
        weight: Any = self.embed().weight
        state = (weight.data_ptr(), weight._version, embeds.dtype)
        if self._kept is None or self._kept[0] != state:
            known = [
                digest(self._of(ids, embeds))
                for ids in torch.arange(len(weight), device=weight.device, dtype=torch.long).split(ROWS)
            ]
            self._kept = (state, torch.cat(known))
        return bool(torch.isin(digest(embeds), self._kept[1].to(embeds.device)).all())

    @torch.no_grad()
    def spell(self, embeds: Tensor, tokens: Tensor) -> Tensor:
        """Stand-ins for token ids, LongTensor (rows, columns) on the CPU: equal embeddings, equal numbers.

        ``tokens``: ids of image tokens; these, and the tags that the config names, are found as themselves. All others
        are below zero.
        """
        named = {value for name, value in vars(self.config).items() if _ID.search(name) and isinstance(value, int)}
        rows = len(self.embed().weight)
        told = sorted(token for token in named | set(tokens.tolist()) if 0 <= token < rows)
        ids = torch.tensor(told, dtype=torch.long, device="cpu")
        known, found = digest(self._of(ids, embeds)).cpu(), digest(embeds).cpu()
        same = found[..., None] == known
        return torch.where(same.any(-1), ids[same.long().argmax(-1)], -2 - (found & (2**62 - 1)))

    def _of(self, ids: Tensor, like: Tensor) -> Tensor:
        module: Any = self.embed()
        found: Tensor = module(ids.to(module.weight.device))
        return found.to(like)


def digest(embeds: Tensor) -> Tensor:
    """A number for each embedding of ``embeds``, (..., channels), from its bits: LongTensor (...)."""
    generator = torch.Generator(device="cpu").manual_seed(0)
    factors = torch.randint(1, 2**62, (embeds.shape[-1],), generator=generator, dtype=torch.long, device="cpu") * 2 + 1
    bits = embeds.detach().contiguous().view(_BITS[embeds.element_size()]).flatten(0, -2)
    factors = factors.to(bits.device)
    return torch.cat([(part.long() * factors).sum(-1) for part in bits.split(ROWS)]).view(embeds.shape[:-1])
