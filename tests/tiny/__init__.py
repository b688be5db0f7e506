"""Tiny random-weight models of real transformers classes, with inputs as their processors write them."""

from __future__ import annotations

from dataclasses import replace
from typing import NoReturn

import pytest
import transformers

from tests.tiny import latest, more, mrope, newest, older, one_dim, relatives, single, tiles, towers
from tests.tiny.base import OLDER, Family


class Known(dict[str, Family]):
    """Families by name; asking for one that the installed transformers does not have skips the test."""

    def __missing__(self, name: str) -> NoReturn:
        pytest.skip(f"{name} is not run with transformers {transformers.__version__}")


FAMILIES: dict[str, Family] = {
    family.name: family
    for module in (one_dim, single, tiles, mrope, more, relatives, towers, newest, latest)
    for family in module.FAMILIES
    if hasattr(transformers, family.config_class or family.model_class)  # each release knows some
}
if OLDER:
    FAMILIES = Known(older.adapted(FAMILIES))

# Models that hold a family, write nothing, and answer from its logits of the next token.
CLASSIFIERS: dict[str, Family] = {}
if not OLDER:
    CLASSIFIERS["shieldgemma2"] = replace(
        FAMILIES["gemma3"],
        name="shieldgemma2",
        model_class="ShieldGemma2ForImageClassification",
        config={**FAMILIES["gemma3"].config, "yes_token_index": 5, "no_token_index": 6},
        skip={"checkpointing_gives_the_same_gradients": "its class does not support gradient checkpointing"},
    )

__all__ = ["CLASSIFIERS", "FAMILIES", "Family"]
