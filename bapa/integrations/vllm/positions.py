"""Positions of one request, from what vLLM knows of it. No vLLM import: the rules are those of :mod:`bapa.schemes`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from bapa.errors import ModelError
from bapa.models.anatomy import image_tokens
from bapa.models.pictures import PromptReader
from bapa.schemes import Scheme, assign
from bapa.schemes.base import GridScheme


class Positions:
    """The positions of requests to one model under ``scheme``.

    ``config``: the model's transformers config. ``longest``: tokens a request may have, its answer included.
    """

    def __init__(self, config: Any, scheme: Scheme, longest: int) -> None:
        self.scheme = scheme
        self.longest = longest
        self.table = config.get_text_config().max_position_embeddings  # rows of the rotary embedding's table
        self.reader = PromptReader(config, image_tokens(config), scheme)

    def __call__(self, ids: Sequence[int], features: Sequence[Any], native: Tensor) -> tuple[Tensor, int]:
        """Positions of a prompt, LongTensor (3, tokens), and what a later token's number differs from its position.

        ``features``: vLLM's MultiModalFeatureSpec of every picture. ``native``: LongTensor (axes, tokens), the model's
        own positions.

        Raises ModelError where a position would lie outside the rotary embedding's table.
        """
        tokens = len(ids)
        if not features:
            return native.expand(3, -1).contiguous(), int(native[:, -1].max()) + 1 - tokens
        features = sorted(features, key=lambda feature: feature.mm_position.offset)
        layout = self.reader.layout(
            torch.tensor(ids)[None],
            lengths=[feature.mm_position.get_num_embeds() for feature in features],
            grids={kind: _grids(features, kind) for kind in ("image", "video")},
        )
        native = native[:, None]
        if isinstance(self.scheme, GridScheme):
            layout = layout.with_grids(native)
        balanced = assign.balance(native, layout, self.scheme)
        positions, delta = balanced.positions[:, 0], int(balanced.end) - tokens
        least, most = int(positions.min()), max(int(positions.max()) + 1, self.longest + delta)
        if positions.is_floating_point() or least < 0 or most > self.table:
            raise ModelError(
                f"{self.scheme} puts tokens at {least} to {most - 1}; this model has positions 0 to {self.table - 1}. "
                "Lower --max-model-len, or the scheme's distances"
            )
        return positions.expand(3, -1).contiguous(), delta


def _grids(features: Sequence[Any], kind: str) -> Tensor | None:
    name = f"{kind}_grid_thw"
    found = [
        f.data[name].data.view(3) for f in features if f.modality == kind and f.data is not None and name in f.data
    ]
    return torch.stack(found) if found else None
