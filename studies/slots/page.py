"""The tables of docs/slots.md, from the record: what was planted, measured and said; and the trained models."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from statsmodels.stats.proportion import proportion_confint

from bapa.origin.verdict import FACTORS
from bapa.probe.design import INDICES
from bapa.report.origin_tables import NAMES
from bapa.stats.text import percent, with_interval
from studies.study import Blocks, Study, table

TRUTHS = {"steep": "uneven", "even": "even"}
NINE = (
    "grid",
    "page",
    "scene",
    "crop",
)  # kinds of three by three slots, whose scripted answers differ by their draws only
HEAD = ["slots", "planted", "range of the AUC", "mean measured", "interval holds it", "called uneven", "evened"]
COUNTS = ("holds", "uneven", "evened")


def blocks(record: dict[str, Any]) -> Blocks:
    """The texts of the page."""
    told = record["trained"]
    return {
        "docs/slots.md": {
            "planted": planted(record),
            "sentences": sentences(record),
            "trained": trained(told),
            "slots": by_slot(told),
            "shared": shared(told),
            "calibrated": calibrated(record["calibrated"]),
            **({"origin": explained(record["origin"])} if "origin" in record else {}),
            **({"which": which(record["which"])} if "which" in record else {}),
        }
    }


def planted(record: dict[str, Any]) -> str:
    """What was found of each planted truth, by kind, and of the kinds of nine slots together."""
    rows = []
    for kind, truths in _with_nine(record["kinds"]):
        for truth, found in truths.items():
            counts = [_count(found[name], found["runs"]) for name in COUNTS]
            rows.append([kind, TRUTHS[truth], percent(found["true"], 1), percent(found["mean"], 1), *counts])
    return (
        f"Probes of {record['items']} items; ranges in points; counts of runs, with 95 % intervals of their share in "
        f"per cent.\n\n{table(HEAD, rows)}\n\n{_too_small(record)}"
    )


def _too_small(record: dict[str, Any]) -> str:
    """By how much the range is measured too small on these slopes, and why."""
    steep = [truths["steep"] for truths in record["kinds"].values()]
    short, ends = [one["true"] - one["mean"] for one in steep], [one["ends"] for one in steep]
    return (
        f"What is measured is smaller than what was planted, by {percent(min(short), 1)} to {percent(max(short), 1)} "
        "points on average: best and worst slot are picked on one half of the items and measured on the other, and "
        f"where slots differ little from their neighbours, half of {record['items']} items often picks a neighbour. "
        "The answers hold the right size: the last slot less the first, which nothing has to pick, is "
        f"{percent(min(ends), 1)} to {percent(max(ends), 1)} points."
    )


def _with_nine(kinds: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for kind, truths in kinds.items():
        yield f"`{kind}`", truths
    nine = [kinds[kind] for kind in NINE if kind in kinds]
    yield (
        f"the {INDICES[len(nine) - 1]} of nine slots",
        {truth: _together([its[truth] for its in nine]) for truth in TRUTHS},
    )


def _together(found: list[dict[str, Any]]) -> dict[str, Any]:
    runs = sum(one["runs"] for one in found)
    mean = sum(one["runs"] * one["mean"] for one in found) / runs
    return {"runs": runs, "true": found[0]["true"], "mean": mean, **{n: sum(one[n] for one in found) for n in COUNTS}}


def _count(count: int, runs: int) -> str:
    low, high = proportion_confint(count, runs, method="beta")
    return f"{count} of {runs} [{percent(low)}, {percent(high)}]"


def sentences(record: dict[str, Any]) -> str:
    """What the report of the first uneven run of each kind says."""
    return "\n".join(f"- `{kind}`: {truths['steep']['sentence']}" for kind, truths in record["kinds"].items())


def trained(models: dict[str, Any]) -> str:
    """Size and reading of the native bias of each trained model, and what small runs find of it."""
    rows = []
    for name, found in models.items():
        part = found["parts"]
        holds, uneven = (_count(part[name], part["runs"]) for name in ("holds", "uneven"))
        rows.append([f"`{name}`", with_interval(part["whole"]), part["called"], holds, uneven])
    return table(["model", "range of the AUC", "called", "intervals of parts hold it", "parts called uneven"], rows)


def by_slot(models: dict[str, Any]) -> str:
    """Hit rate in each slot under every rule."""
    rows = [
        [f"`{name}`", f"`{label}`", *(percent(value) for value in its["slots"]), its["reading"]]
        for name, found in models.items()
        for label, its in found["rules"].items()
    ]
    count = max(len(its["slots"]) for found in models.values() for its in found["rules"].values())
    return table(["model", "rule", *map(str, range(1, count + 1)), "called"], rows)


def shared(models: dict[str, Any]) -> str:
    """One position for all pictures minus a position for each."""
    rows = [
        [
            f"`{name}`",
            f"`{one}` − `{its['own']}`",
            *(with_interval(its[key]) for key in ("range", "hit", "auc_range", "auc")),
        ]
        for name, found in models.items()
        for one, its in found["shared"].items()
    ]
    return table(["model", "difference", "range of hits", "mean hit rate", "range of the AUC", "mean AUC"], rows)


def calibrated(models: dict[str, Any]) -> str:
    """What was picked, and every judged rule's figures, on items that had no part in the choice."""
    rows = [
        [
            f"`{name}`",
            f"`{rule}`" + (", the choice" if rule == found["chosen"] else ""),
            *(with_interval(its[key]) for key in ("auc_range", "auc", "hit")),
        ]
        for name, found in models.items()
        for rule, its in found["rules"].items()
    ]
    said = [f"- `{name}`: {sentence}" for name, found in models.items() for sentence in found["sentences"][-3:-1]]
    head = ["model", "rule", "range of the AUC", "mean AUC", "mean hit rate"]
    return f"{table(head, rows)}\n\n{chr(10).join(said)}"


def which(models: dict[str, Any]) -> str:
    """How often the right image is named under every rule, and what is lost where all share one position."""
    rules = [
        [
            f"`{name}`",
            f"`{rule}`",
            with_interval(its["named"]),
            *(percent(share) for share in its["slots"]),
            with_interval(its["auc_range"]),
            its["reading"],
        ]
        for name, found in models.items()
        for rule, its in found["rules"].items()
    ]
    lost = [
        [f"`{name}`", f"`{one}` − `{its['own']}`", *(with_interval(its[key]) for key in ("named", "auc_range", "auc"))]
        for name, found in models.items()
        for one, its in found["shared"].items()
    ]
    images = [f"of image {number + 1}" for number in range(len(rules[0]) - 5)]
    head = ["model", "rule", "right image named", *images, "range of the AUC", "called"]
    return (
        f"{table(head, rules)}\n\nOne position for all images minus a position for each, in points:\n\n"
        f"{table(['model', 'difference', 'right image named', 'range of the AUC', 'mean AUC'], lost)}"
    )


def explained(models: dict[str, Any]) -> str:
    """Shares of the spread between images, and what is said of them."""
    head = ["model", *(NAMES[factor] for factor in FACTORS)]
    rows = [
        [f"`{name}`", *(with_interval(found["shares"][factor], unit=" %") for factor in FACTORS)]
        for name, found in models.items()
    ]
    said = [f"- `{name}`: {found['verdict']}" for name, found in models.items()]
    return f"{table(head, rows)}\n\n{chr(10).join(said)}"


STUDY = Study("slots", blocks)
