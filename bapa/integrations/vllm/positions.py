"""Positions of one request, from what vLLM knows of it. No vLLM import: the rules are those of :mod:`bapa.schemes`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from bapa.errors import ModelError
from bapa.families.anatomy import image_tokens
from bapa.families.pictures import PromptReader
from bapa.schemes import NATIVE, Scheme, assign

_KEPT = 512  # results remembered


class Positions:
    """The positions of requests to one model under ``scheme``.

    A request waits for its positions, and many requests have their pictures in the same columns; so results are kept.

    ``config``: the model's transformers config. ``longest``: tokens a request may have, its answer included.
    """

    def __init__(self, config: Any, scheme: Scheme, longest: int) -> None:
        self.scheme = scheme
        self.longest = longest
        self.table = config.get_text_config().max_position_embeddings  # rows of the rotary embedding's table
        self.reader = PromptReader(config, image_tokens(config), scheme)
        self._image_tokens = frozenset(self.reader.tokens.tolist())
        self._kept: dict[Any, tuple[Tensor, int]] = {}

    def __call__(self, ids: Sequence[int], features: Sequence[Any], native: Callable[[], Tensor]) -> tuple[Tensor, int]:
        """Positions of a prompt, LongTensor (3, tokens), and what to add to the number of a later token.

        ``features``: vLLM's MultiModalFeatureSpec of every picture. ``native`` gives a LongTensor (axes, tokens), the
        model's own positions.

        Raises ModelError where a position would lie outside the rotary embedding's table.
        """
        if not features or self.scheme == NATIVE:
            own = native()
            return own.expand(3, -1).contiguous(), int(own[:, -1].max()) + 1 - len(ids)
        features = sorted(features, key=lambda feature: feature.mm_position.offset)
        lengths = tuple(feature.mm_position.get_num_embeds() for feature in features)
        grids = {kind: _grids(features, kind) for kind in ("image", "video")}
        # Everything that a layout is read from; of the text only families with JOINED pictures read more.
        text = tuple(ids) if self.reader.joined else bytes(map(self._image_tokens.__contains__, ids))
        # Where native positions count, of videos they depend on the frame rate too.
        counted = native() if self.scheme.effects.grid else None
        key = (text, lengths, *map(tuple, grids.values()), None if counted is None else counted.numpy().tobytes())
        if key not in self._kept:
            if len(self._kept) == _KEPT:
                del self._kept[next(iter(self._kept))]
            self._kept[key] = self._computed(ids, lengths, grids, native() if counted is None else counted)
        positions, delta = self._kept[key]
        return positions.clone(), delta

    def _computed(
        self, ids: Sequence[int], lengths: Sequence[int], grids: dict[str, list[tuple[int, ...]]], native: Tensor
    ) -> tuple[Tensor, int]:
        told = {kind: torch.tensor(found) if found else None for kind, found in grids.items()}
        layout = self.reader.layout(torch.tensor(ids)[None], lengths=lengths, grids=told)
        native = native[:, None]
        if self.scheme.effects.grid:
            layout = layout.told(native)
        balanced = assign.balance(native, layout, self.scheme)
        positions, delta = balanced.positions[:, 0], int(balanced.end) - len(ids)
        least, most = int(positions.min()), max(int(positions.max()) + 1, self.longest + delta)
        if positions.is_floating_point() or least < 0 or most > self.table:
            raise ModelError(
                f"{self.scheme} puts tokens at {least} to {most - 1}; this model has positions 0 to {self.table - 1}. "
                "Lower --max-model-len, or the scheme's distances"
            )
        return positions.expand(3, -1).contiguous(), delta


def _grids(features: Sequence[Any], kind: str) -> list[tuple[int, ...]]:
    """Frames, patch rows and patch columns of every picture of one kind; empty where the family does not tell."""
    name = f"{kind}_grid_thw"
    told = [feature.data for feature in features if feature.modality == kind and feature.data is not None]
    return [tuple(data[name].data.flatten().tolist()) for data in told if name in data]
