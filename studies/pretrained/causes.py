"""What ``bapa origin`` and ``bapa calibrate --keep`` found on models of the bench, and the tables of it.

``judge`` leaves ``origin.json`` and ``promised.json`` beside the answers of a model; what the page needs of them is
kept in ``second``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bapa.calibrate import frontier
from bapa.stats.text import interval, percent
from studies.study import table
from studies.text import bounded

HERE = Path(__file__).parent / "second"
ORIGIN, PROMISED = HERE / "origin.json", HERE / "promised.json"
KEPT = {
    ORIGIN: ("verdict", "penalty", "spread", "map", "attribution", "attribution_by_patching", "rules", "probe"),
    PROMISED: ("chosen", "promise", "guards", "probe"),
}
FACTORS = {"encoder": "encoder", "order": "order", "position": "position", "remainder": "not additive"}
QUANTITIES = {"hit": "hits", "margin": "margins"}
MOVED = {"attribution": "exchanged", "attribution_by_patching": "patched"}


def collect(work: Path) -> None:
    """Add what lies in ``work`` to what is kept."""
    for kept, keys in KEPT.items():
        known = read(kept)
        for path in sorted(work.glob(f"[A-G]-?/{kept.name}")):
            found = json.loads(path.read_text("utf-8"))
            known[path.parent.name] = {key: found[key] for key in keys if key in found}
        if known:
            kept.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n", "utf-8")


def read(kept: Path) -> dict[str, Any]:
    """By model what is kept; nothing before the first."""
    return json.loads(kept.read_text("utf-8")) if kept.is_file() else {}


def tables() -> dict[str, str]:
    """The tables, by the name of their place."""
    origin, promised = read(ORIGIN), read(PROMISED)
    return {
        "second: origin": explained(origin),
        "second: rules on the map": mapped(origin),
        "second: search": searched(promised),
    }


def explained(found: Mapping[str, Any]) -> str:
    """What the spread over cells comes from: of hits and of margins, moved in both ways."""
    rows = []
    for model, one in found.items():
        for quantity, called in QUANTITIES.items():
            spread = one["spread"][quantity]
            about = f"{_size(spread['statistic'], quantity)} (p = {spread['p']:.2g})"
            for kind, moved in MOVED.items():
                shares = one[kind][quantity]
                told = [f"{percent(shares[name]['value'])} % {interval(shares[name])}" for name in FACTORS]
                rows.append([model, str(one["probe"]["items"]), called, about, moved, *told])
    return table(["model", "items", "of", "range over cells", "features", *FACTORS.values()], rows)


def _size(value: float, quantity: str) -> str:
    """A range of hits in points, one of margins in logits."""
    return percent(value) if quantity == "hit" else f"{value:.2f} logits"


def mapped(found: Mapping[str, Any]) -> str:
    """What is left of the native map of margins under each rule."""
    rows = []
    for model, one in found.items():
        for rule, its in one["rules"]["margin"].items():
            told = [f"{percent(its[name]['value'])} % {interval(its[name])}" for name in ("left", "same")]
            rows.append([model, f"`{rule}`", *told, bounded(its["auc"])])
    return table(["model", "rule", "variance left", "native's map in it", "mean AUC"], rows)


def searched(found: Mapping[str, Any]) -> str:
    """What the search under a promise chose, and what other items say of it."""
    rows = []
    for model, one in found.items():
        looked = frontier.read(one["promise"])
        rules = one["promise"]["judged"]["rules"]
        chosen = one["chosen"]
        ranges = [bounded(rules[rule]["range"]) for rule in ("native", chosen)]
        keeps = [_kept(guard, chosen) for guard in one["guards"]]
        label = "native (none is evener)" if looked.chosen is None else f"`{looked.chosen}`"
        tried = f"{len(looked.points)}, {len(looked.held)} of them"
        rows.append([model, tried, label, *(ranges if looked.chosen else [ranges[0], "–"]), *keeps])
    head = ["model", "candidates, keep the promise", "chosen", "AUC range, native", "AUC range, chosen"]
    return table([*head, "rows and columns kept", "order kept"], rows)


def _kept(guard: Mapping[str, Any], chosen: str) -> str:
    told = next(rule for rule in guard["rules"] if rule["candidate"] == chosen)
    return bounded(told["kept"])
