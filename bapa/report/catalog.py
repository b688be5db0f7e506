"""What configs tell of models, as rows of a table."""

from __future__ import annotations

from bapa.checkpoints.catalog import Told
from bapa.stats.text import percent


def heads() -> tuple[str, ...]:
    """The titles of :func:`cells`."""
    return "model", "family", "image tokens", "rotary axes", "layers without positions", "can be balanced"


def cells(told: Told) -> tuple[str, ...]:
    """One row."""
    return (
        told.name,
        told.family,
        ", ".join(map(str, told.tokens)),
        "" if told.axes is None else str(told.axes),
        f"{percent(told.hybrid / told.layers)} %" if told.layers else "",
        f"no: {told.reason}" if told.reason else "yes",
    )
