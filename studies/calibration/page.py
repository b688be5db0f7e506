"""The tables of docs/calibration.md and of the study behind it, from the record.

The record holds ``models``, by name: the ``chosen`` rule; ``fresh``: rule -> measure -> estimate on fresh items;
``judging``: rule -> measures on the items that judge; ``scan``: distance -> balanced accuracy; ``label_free``: what
each criterion picks; ``transfer``: canvas or question -> rule -> measures; ``curve``: mean hits against the distance,
for the picture. And ``lost``: criterion -> mean and worst loss of its picks.
"""

from __future__ import annotations

from typing import Any

from bapa.stats.text import p_value, signed
from studies.reference.recipe import SKEWS
from studies.study import Blocks, Study, missing, table
from studies.text import MEASURES, bounded, four, share

PAGE, STUDIED = "docs/calibration.md", "docs/studies/calibration.md"
PAPER = "bapa"
HEADLINE = ("auc", "auc_range")
DISTANCES = (PAPER, *(f"calibrated:distance={step / 12:.4g}x" for step in range(1, 25)))  # of the full scan
RIVALS = ("bapa:distance=native", "stride", "concentric", "manhattan", "pyramid")
NAMES = [f"{skew}-{seed}" for skew in SKEWS for seed in (1, 2, 3)]


def blocks(record: dict[str, Any]) -> Blocks:
    """The texts of the pages."""
    models = {name: record["models"][name] for name in NAMES if name in record["models"]}

    def lacking(part: str, wanted: list[str]) -> str:
        return missing(wanted, [name for name, found in models.items() if part in found])

    return {
        PAGE: {"native": against_native(record.get("native", {})) + missing(NAMES, list(record.get("native", {})))},
        STUDIED: {
            "verdict": fresh(models) + lacking("fresh", NAMES),
            "rivals": rivals(models) + lacking("judging", NAMES),
            "scan": scan(models) + lacking("scan", NAMES),
            "free": label_free(models, record["lost"]) + lacking("label_free", NAMES),
            "transfer": transfer(models) + lacking("transfer", [name for name in NAMES if name.endswith("-1")]),
        },
    }


def against_native(judged: dict[str, Any]) -> str:
    """The choice against native positions on the judging items, by balanced accuracy; a choice of its own search."""
    rows = []
    for model, its in judged.items():
        accuracy, moved, chosen = its["balanced_accuracy"], its["threshold"].get("native"), its["chosen"]
        change = "" if its["p"] is None else f"{signed(its['difference'], 1)} ({p_value(its['p'])})"
        rows.append(
            [
                *(model, f"`{chosen}`", share(accuracy["native"]), share(accuracy[chosen])),
                *(change, its["says"], "–" if moved is None else share(moved), its["apart"] or "nothing"),
            ]
        )
    head = ["native", "chosen rule", "change", "verdict", "native, threshold refitted", "kept apart"]
    return table(["model", "chosen", *head], rows)


def fresh(models: dict[str, Any]) -> str:
    """The judged rules of every model on fresh items, with intervals, and whether the goals are met."""
    rows = []
    for model, found in models.items():
        for rule, its in found.get("fresh", {}).items():
            chosen = rule == found["chosen"]
            goal = goal_of(model, found["fresh"]["native"], its) if chosen else ""
            name = f"**`{rule}`**" if chosen else f"`{rule}`"
            cells = (bounded(its[key]) if key in its else "–" for key in (*HEADLINE, *MEASURES))
            rows.append([model, name, *cells, goal])
    measures = ["AUC", "its range", "mean hit", "range", "consistency", "false alarms"]
    return table(["model", "rule", *measures, "goal"], rows)


def goal_of(model: str, native: dict[str, Any], its: dict[str, Any]) -> str:
    """Whether the chosen rule, ``its`` figures, meets what was asked of its skew; what falls short, by name."""
    mean, spread, same, alarms = (its[key]["value"] for key in MEASURES)
    wanted = {
        "center": {"mean": mean >= native["hit"]["value"] + 0.2, "range": spread <= native["range"]["value"] / 2},
        "uniform": {"mean": mean >= native["hit"]["value"] - 0.01},
    }.get(
        model.partition("-")[0],
        {"mean": mean >= 0.95, "range": spread <= 0.1, "consistency": same >= 0.9, "alarms": alarms <= 0.05},
    )
    short = [name for name, met in wanted.items() if not met]
    return "met" if not short else f"short: {', '.join(short)}"


def rivals(models: dict[str, Any]) -> str:
    """Rules side by side."""
    rules = ["native", "bapa", "chosen", *RIVALS]
    rows = []
    for model, found in models.items():
        if judging := found.get("judging"):
            its = {**judging, "chosen": judging[found["chosen"]]}
            rows.append([model, *(four(its[rule]) if rule in its else "–" for rule in rules)])
    return table(["model", *("calibrated" if rule == "chosen" else f"`{rule}`" for rule in rules)], rows)


def scan(models: dict[str, Any]) -> str:
    """The chosen rule beside the best distance of the full scan, on items that judge."""
    rows = []
    for model, found in models.items():
        if scanned := found.get("scan"):
            best = max(scanned, key=lambda rule: scanned[rule])
            told = (text for rule in (best, found["chosen"]) for text in (f"`{rule}`", share(scanned[rule])))
            rows.append([model, *told])
    head = ["best of the full scan", "its balanced accuracy", "chosen on 32 items", "its balanced accuracy"]
    return table(["model", *head], rows)


def label_free(models: dict[str, Any], lost: dict[str, Any]) -> str:
    """For each criterion, what it picks from the full scan on one half of the items, judged on the other half."""
    asked = {model: found["label_free"] for model, found in models.items() if "label_free" in found}
    rows = []
    for model, found in asked.items():
        picks = [found["picks"].get(name) for name in lost]
        cells = (f"{share(pick['balanced_accuracy'])} ({short(pick['rule'])})" if pick else "–" for pick in picks)
        rows.append([model, share(found["best"]), *cells])
    if rows:
        worst = (f"{share(its['mean'])}, at worst {share(its['worst'])}" for its in lost.values())
        rows.append(["**lost, mean**", "", *worst])
    return table(["model", "best possible", *lost], rows)


def short(rule: str) -> str:
    """A distance as people say it."""
    return "paper" if rule == PAPER else rule.partition("=")[2]


def transfer(models: dict[str, Any]) -> str:
    """The chosen rule on other canvases and in other words."""
    rows = [
        [model, title, *(four(its[rule]) for rule in ("native", "bapa", found["chosen"]))]
        for model, found in models.items()
        for title, its in found.get("transfer", {}).items()
    ]
    return table(["model", "where", "native", "`bapa`", "calibrated"], rows)


STUDY = Study("calibration", blocks)
