"""The small LVLMs that ship with the package: weights that have the spatial bias; ``studies/reference`` trains them.

>>> from bapa import reference
>>> reference.path("bottom").name
'bottom'
"""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

from bapa.errors import ConfigError

NAMES = ("bottom", "top", "center", "uniform", "encoder-bias", "places")


def path(name: str = "bottom") -> Path:
    """The model folder of a shipped reference: the part of the canvas its training asked about, or ``encoder-bias``,
    whose encoder learned to read the bottom row only, or ``places``, which also tells rows, order and numbers.

    Raises:
        ConfigError: no reference of that name; the installed transformers cannot read them.
    """
    if name not in NAMES:
        raise ConfigError(
            f"unknown reference model {name!r}: accepted are {', '.join(NAMES)}; type reference:{NAMES[0]}"
        )
    if int((found := version("transformers")).partition(".")[0]) < 5:
        raise ConfigError(
            f"the reference models need transformers 5, found {found}; other models can be used with it; "
            "type pip install --upgrade transformers"
        )
    return Path(__file__).parent / "weights" / name
