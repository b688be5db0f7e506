"""The tables of docs/studies/tuning.md, from the record.

The record, by skew: ``seeds`` measured training-free; ``tuned``: rule -> seeds; ``rules``: rule -> moment -> number of
``seeds`` and, for hits and each of :data:`OVERALL`, the ``mean`` over them with the ``half`` of Student's 95 % interval
(None below three seeds); ``seed_by_seed``: rule -> seed -> ``native`` and ``rule`` (hits and false alarms each) and the
differences of hits and balanced accuracy as estimates; ``gains``: rule -> what tuning under it gains over seeds.
"""

from __future__ import annotations

from typing import Any

from bapa.stats.quantities import spoken
from studies.study import Blocks, Study, table
from studies.text import bounded, share

OVERALL = spoken(("balanced_accuracy", "range", "consistency", "false_alarm", "auc"))
GAINED = ("hits", "balanced_accuracy")
ORDER = ("center", "top", "bottom", "uniform")  # of the page's sections


def blocks(record: dict[str, Any]) -> Blocks:
    """The texts of the page."""
    found = {skew: record[skew] for skew in ORDER if skew in record}
    return {
        "docs/studies/tuning.md": {
            "extent": extent(found),
            "verdicts": verdicts(found),
            "figures": "\n\n".join(part for skew, its in found.items() for part in details(skew, its)),
        }
    }


def over_seeds(its: dict[str, Any]) -> str:
    """``44.3 <sub>± 31.8</sub>``; two seeds bound nothing and get no interval."""
    return share(its["mean"]) + (f" <sub>± {share(its['half'])}</sub>" if its["half"] is not None else "")


def extent(found: dict[str, Any]) -> str:
    """What has been run."""
    rows = []
    for skew, its in found.items():
        by_seeds: dict[str, list[str]] = {}
        for rule, seeds in its["tuned"].items():
            by_seeds.setdefault(", ".join(map(str, seeds)), []).append(f"`{rule}`")
        measured = sum("training-free" in moments for moments in its["rules"].values())
        tuned = "; ".join(f"{seeds}: {' '.join(rules)}" for seeds, rules in by_seeds.items())
        rows.append([skew, ", ".join(map(str, its["seeds"])), str(measured), tuned])
    return table(["skew", "seeds measured training-free", "rules", "seeds tuned: rules"], rows)


def verdicts(found: dict[str, Any]) -> str:
    """One line for each skew and rule: what tuning under it gains over tuning natively, and in how many seeds."""
    rows = []
    for skew, its in found.items():
        for rule, gain in its["gains"].items():
            gains = (text for key in GAINED for text in (over_seeds(gain[key]), signs(gain[key])))
            pairs = (", ".join(map(share, gain[key])) for key in ("range", "false_alarm"))
            rows.append([skew, f"`{rule}`", str(gain["seeds"]), *gains, *pairs])
    counted = "seeds above, below zero"
    head = ["skew", "rule", "seeds", "gain of hits", counted, "gain of balanced accuracy", counted]
    return table([*head, "range: native, rule", "false alarms: native, rule"], rows)


def signs(gain: dict[str, Any]) -> str:
    """In how many seeds the interval lies above and below zero."""
    return f"{gain['above']}, {gain['below']}"


def details(skew: str, its: dict[str, Any]) -> list[str]:
    """The section of a skew."""
    kind = "all nine cells, none of which is unseen" if skew == "uniform" else "the cells never asked about"
    return [
        f"### `{skew}`",
        f"*Hits* are those over {kind}.",
        moments(its["rules"]),
        "Tuned under the rule against tuned natively, seed by seed:",
        seed_by_seed(its["seed_by_seed"]),
    ]


def moments(rules: dict[str, Any]) -> str:
    """Each rule before and after tuning, means over the seeds that are there."""
    rows = [
        [f"`{rule}`", moment, str(its["seeds"]), *(over_seeds(its[key]) for key in ("hits", *OVERALL))]
        for rule, found in rules.items()
        for moment, its in found.items()
    ]
    return table(["rule", "", "seeds", "hits", *OVERALL.values()], rows)


def seed_by_seed(rules: dict[str, Any]) -> str:
    """The rules after tuning against the native continuation, on the same items."""
    rows = [
        [
            f"`{rule}`",
            seed,
            *(share(its[which][key]) for which in ("native", "rule") for key in ("hits", "false_alarm")),
            *(bounded(its["gain"][key]) for key in GAINED),
        ]
        for rule, seeds in rules.items()
        for seed, its in seeds.items()
    ]
    head = ["hits, native tuning", "its false alarms", "hits, this rule", "its false alarms", "difference of hits"]
    return table(["rule", "seed", *head, "of balanced accuracy"], rows)


STUDY = Study("tuning", blocks)
