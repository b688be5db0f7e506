"""The small LVLM that ships with the package: weights that truly have the spatial bias, and the recipe that made them.

>>> from bapa import reference
>>> reference.path("bottom").name
'bottom'
"""

from __future__ import annotations

from pathlib import Path

from bapa.errors import ConfigError

NAMES = ("bottom", "top", "center", "uniform")
COUNTER_EXAMPLE = "encoder-bias"  # trained the other way round: the skew is in its encoder


def path(name: str = "bottom") -> Path:
    """The model folder of a shipped reference: the part of the canvas its training asked about, or the counter-example.

    Raises:
        ConfigError: no reference of that name.
    """
    if name not in (*NAMES, COUNTER_EXAMPLE):
        accepted = ", ".join((*NAMES, COUNTER_EXAMPLE))
        raise ConfigError(f"unknown reference model {name!r}: accepted are {accepted}; type reference:{NAMES[0]}")
    return Path(__file__).parent / "weights" / name
