"""The tables of docs/check.md, and for models of the pretrained bench of docs/studies/pretrained.md, from the record:
what was decided about each model and on what, how long that took and was said to take, and what was decided about
models without a bias.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from bapa.stats.text import percent, with_interval
from studies.study import Blocks, Study, table

SHIPPED = "reference:"
STEPS = ("measure", "origin", "calibrate", "keep")


def blocks(record: dict[str, Any]) -> Blocks:
    """The texts of the page."""
    models = record["models"]
    shipped = {name: its for name, its in models.items() if name.startswith(SHIPPED)}
    trained = {name: its for name, its in models.items() if name not in shipped}
    told = tables(shipped) | ({"check-nulls": nulls(record["nulls"])} if "nulls" in record else {})
    return {"docs/check.md": told} | ({"docs/studies/pretrained.md": tables(trained)} if trained else {})


def tables(models: dict[str, Any]) -> dict[str, str]:
    """What was decided about models, and how long it took."""
    return {"check": decisions(models), "check-time": times(models)}


def decisions(models: dict[str, Any]) -> str:
    """By model, the headline and the AUC it rests on."""
    rows = []
    for model, found in models.items():
        native, rule = found["native"], found["rule"]
        after = [with_interval(rule[name], 1) if rule else "–" for name in ("worst", "range")]
        before = [with_interval(native[name], 1) for name in ("worst", "range")]
        rows.append([f"`{model}`", f"**{found['headline']}**", str(found["items"]), *before, *after])
    head = ["model", "decision", "items", "worst cell, native", "range, native", "worst cell, rule", "range, rule"]
    return table(head, rows)


def times(models: dict[str, Any]) -> str:
    """By model, seconds of the steps that were taken and the memory: as estimated beforehand, and as they took."""
    rows = []
    for model, found in models.items():
        took, estimate = found.get("took"), found.get("estimate")
        if not took:
            continue
        said = sum(estimate[step] for step in took)
        steps = [f"{estimate[step]:.0f} / {took[step]:.0f}" if step in took else "–" for step in STEPS]
        spent = sum(took.values())
        memory = f"{estimate['memory'] / 1e9:.1f} / {found['memory'] / 1e9:.1f}" if "memory" in found else "–"
        rows.append([f"`{model}`", *steps, f"{said:.0f} / {spent:.0f}", f"{spent / said:.2f}", memory])
    if not rows:
        return "Not measured yet."
    return table(["model", *STEPS, "all of these", "took / estimated", "GB"], rows)


def nulls(found: dict[str, Any]) -> str:
    """How many null models were to be left alone, and the others one by one."""
    rows = found["rows"]
    kinds = Counter(row["kind"] for row in rows)
    ranges = [row["range"]["value"] for row in rows]
    ratios = sorted(sum(row["took"].values()) / sum(row["estimate"][step] for step in row["took"]) for row in rows)
    lines = [
        f"*Leave it* in {kinds['leave']} of {len(rows)}, *cannot be told* in {kinds['untold']}, a change in "
        f"{kinds['balance'] + kinds['tune']} (seeds {rows[0]['seed']} to {rows[-1]['seed']}, "
        f"{found['items']} items each, noise "
        f"{percent(found['noise'])} %). Native range of AUC: {percent(min(ranges), 1)} to "
        f"{percent(max(ranges), 1)} points; mean AUC {percent(min(row['mean'] for row in rows), 1)} or more. "
        f"Time taken against the estimate: {ratios[0]:.2f} to {ratios[-1]:.2f}, median {ratios[len(ratios) // 2]:.2f}."
    ]
    lines += [
        f"Seed {row['seed']}: *{row['kind']}* ({row['reason']}), range {with_interval(row['range'], 1)}."
        for row in rows
        if row["kind"] != "leave"
    ]
    return "\n\n".join(lines)


STUDY = Study("check", blocks)
