"""Tiny random-weight models of real transformers classes, with inputs as their processors write them."""

from __future__ import annotations

from tests.tiny import mrope, one_dim, tiles
from tests.tiny.base import Family, extend

FAMILIES: dict[str, Family] = {family.name: family for module in (one_dim, mrope, tiles) for family in module.FAMILIES}

__all__ = ["FAMILIES", "Family", "extend"]
