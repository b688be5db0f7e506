"""The part of a report about which image or frame is named: a model may favour one slot whatever stands there."""

from __future__ import annotations

from markupsafe import Markup

from bapa.measure import Run
from bapa.probe.slots import Slots
from bapa.report.parts import Part, table
from bapa.stats.text import percent


def part(run: Run) -> Part | None:
    """How often each slot is named, over targets that stand in all of them equally often."""
    slots = Slots.of(run.bias["probe"])
    if not slots.line:
        return None
    answers = run.answers()
    asked = answers[(answers["kind"] == f"where_{slots.word}") & answers["answer"].notna()]
    if asked.empty:
        return None
    signs = list(asked.sort_values("cell", kind="stable")["expected"].unique())
    rows = []
    for label, its in asked.groupby("scheme", sort=False):
        share = its["answer"].value_counts(normalize=True)
        rows.append([str(label), *(percent(float(share.get(sign, 0.0))) for sign in signs)])
    head = ["scheme", *(slots.name(slot) for slot in range(slots.count))]
    caption = (
        f"How often each {slots.word} is named, %; each holds the target in {percent(1 / slots.count, 1)} % of cases."
    )
    return Part(f"Which {slots.word} is named", [Markup(table(caption, head, rows))])
