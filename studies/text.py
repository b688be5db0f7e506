"""How figures are written in pages: per cent with one digit, intervals small."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bapa.stats.text import interval, percent

MEASURES = ("hit", "range", "consistency", "false_alarm")


def share(value: float) -> str:
    """``0.559`` -> ``55.9``."""
    return percent(value, 1)


def bounded(estimate: Mapping[str, Any]) -> str:
    """``55.9 <sub>[52.1, 59.5]</sub>``."""
    return f"{share(estimate['value'])} <sub>{interval(estimate, 1)}</sub>"


def four(found: Mapping[str, float]) -> str:
    """Mean hit / range / consistency / false alarms."""
    return " / ".join(share(found[name]) for name in MEASURES)
