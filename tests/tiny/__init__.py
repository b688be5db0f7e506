"""Tiny random-weight models of real transformers classes, with inputs as their processors write them."""

from __future__ import annotations

import transformers

from tests.tiny import more, mrope, one_dim, single, tiles
from tests.tiny.base import Family

FAMILIES: dict[str, Family] = {
    family.name: family
    for module in (one_dim, single, tiles, mrope, more)
    for family in module.FAMILIES
    if hasattr(transformers, family.model_class)  # each release knows some
}

__all__ = ["FAMILIES", "Family"]
