"""Null, a control: all positions moved by one constant, which rotary attention cannot see."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from bapa.schemes.base import is_whole
from bapa.schemes.native import Native


@dataclass(frozen=True)
class Null(Native):
    """Native positions plus ``k``, text included: whatever changes is the noise floor of the arithmetic."""

    name: ClassVar[str] = "null"
    paper: ClassVar[str] = "control"

    k: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require("k", is_whole(self.k), "a whole number")

    @property
    def shift(self) -> int:
        return self.k
