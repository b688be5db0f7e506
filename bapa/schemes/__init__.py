"""Position schemes: one file per published rule."""

from __future__ import annotations

from bapa.schemes.base import Placement, Scheme
from bapa.schemes.registry import SCHEMES, make, names, parse

__all__ = ["SCHEMES", "Placement", "Scheme", "make", "names", "parse"]
