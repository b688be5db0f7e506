"""Position schemes: one file per published rule."""

from __future__ import annotations

from bapa.schemes.base import Placement, Scheme
from bapa.schemes.distance import Profile, profile, ptd
from bapa.schemes.registry import SCHEMES, Option, Row, make, names, parse, register, table

__all__ = [
    "SCHEMES",
    "Option",
    "Placement",
    "Profile",
    "Row",
    "Scheme",
    "make",
    "names",
    "parse",
    "profile",
    "ptd",
    "register",
    "table",
]
