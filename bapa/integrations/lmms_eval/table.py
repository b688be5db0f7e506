"""What a benchmark found, for the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table

from bapa.integrations.lmms_eval.compare import Compared


def table(rows: Sequence[Compared]) -> Table:
    """One line for each metric and scheme but the first: both figures, their difference and what is known of it."""
    shown = Table("task", "metric", "documents", "scheme", box=None, pad_edge=False, header_style="dim")
    for title in ("first", "this", "difference", "interval", "p"):
        shown.add_column(title, justify="right")
    for row in rows:
        base, *others = row.figures
        for label in others or [base]:
            found, p = row.differences.get(label), row.p.get(label)
            bounds = found and (found["low"], found["high"])
            shown.add_row(
                row.task,
                row.metric,
                str(row.documents),
                label,
                f"{row.figures[base]:.3f}",
                f"{row.figures[label]:.3f}",
                f"{found['value']:+.3f}" if found else "",
                f"[{bounds[0]:+.3f}, {bounds[1]:+.3f}]" if bounds and None not in bounds else "",
                "" if p is None else f"{p:.3g}",
            )
    return shown
