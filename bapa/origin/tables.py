"""Tables: for the terminal, and as CSV."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.table import Table

from bapa.measure.intervals import Estimate

NAMES = {
    "encoder": "encoder and projector",
    "order": "order of the tokens (mask)",
    "position": "rotary position",
    "language_model": "order and position together",
    "remainder": "not additive",
}


def attribution(found: Mapping[str, Any]) -> Table:
    """Shares of the spread, as read from ``origin.json``."""
    table = Table("share of the spread between cells", box=None, pad_edge=False, header_style="dim")
    for title in ("hit rate", "margin", "hit rate, by patching"):
        table.add_column(title, justify="right")
    columns = (found["attribution"]["hit"], found["attribution"]["margin"], found["attribution_by_patching"]["hit"])
    for factor, name in NAMES.items():
        table.add_row(name, *(percent(shares[factor]) if shares else "–" for shares in columns))
    return table


def percent(estimate: Estimate) -> str:
    """``97 % [91, 103]``."""
    value, low, high = (estimate[name] for name in ("value", "low", "high"))
    if value is None:
        return "–"
    text = f"{100 * value:.0f} %"
    if low is not None and high is not None:
        text += f" [{100 * low:.0f}, {100 * high:.0f}]"
    return text.replace("-", "−")
