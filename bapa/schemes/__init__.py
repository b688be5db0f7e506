"""Position schemes: one file per published rule."""

from __future__ import annotations

from bapa.schemes.base import Placement, Scheme
from bapa.schemes.distance import Profile, profile, ptd
from bapa.schemes.effects import Effects, Features, Look, Tokens
from bapa.schemes.registry import COMMON, NATIVE, SCHEMES, Option, Row, make, names, parse, register, table

__all__ = [
    "COMMON",
    "NATIVE",
    "SCHEMES",
    "Effects",
    "Features",
    "Look",
    "Option",
    "Placement",
    "Profile",
    "Row",
    "Scheme",
    "Tokens",
    "make",
    "names",
    "parse",
    "profile",
    "ptd",
    "register",
    "table",
]
