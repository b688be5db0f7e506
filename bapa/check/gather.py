"""From the results of the verbs to the evidence that a decision rests on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from bapa.check.evidence import Arm, Cause, Evidence, Figure, Guard, Search

_OVERALL = {"mean": "auc", "worst": "auc_worst_cell", "range": "auc_range"}


def figure(estimate: Mapping[str, float | None]) -> Figure:
    """An estimate of ``bias.json``. Where it has no value, the worst there can be is assumed."""
    value = estimate["value"]
    return Figure(0.0 if value is None else value, estimate["low"], estimate["high"])


def arms(bias: Mapping[str, Any], labels: Sequence[str]) -> tuple[Arm, ...]:
    """Native, then ``labels``, from the ``bias.json`` of a run that holds them all."""
    changes: dict[str, dict[str, Figure]] = {}
    for row in bias["comparisons"]:
        name = next((ours for ours, theirs in _OVERALL.items() if theirs == row["quantity"]), None)
        if name and row["a"] == "native" and "cell" not in row:
            changes.setdefault(row["b"], {})[name] = figure(row["difference"])
    found = []
    for label in ("native", *labels):
        overall = bias["schemes"][label]["overall"]
        its = {ours: figure(overall[theirs]) for ours, theirs in _OVERALL.items()}
        found.append(Arm(label, its["mean"], its["worst"], its["range"], changes.get(label, {})))
    return tuple(found)


def mass(bias: Mapping[str, Any]) -> tuple[float | None, str | None]:
    """Probability on the answers natively, and the token that the model would rather say."""
    native = bias["schemes"]["native"]
    wanted = native.get("wanted") or [{"token": None}]
    return native["overall"]["mass"]["value"], wanted[0]["token"]


def p_of_native(bias: Mapping[str, Any]) -> float | None:
    """Of the test that the native cells differ in AUC."""
    found: float | None = bias["schemes"]["native"]["tests"]["auc_range"]["p"]
    return found


def cause(verdict: Mapping[str, Any]) -> Cause:
    """The cause of the verdict of :mod:`bapa.origin`, in one word; what it does not settle is ``unknown``."""
    found, detail = str(verdict["cause"]), verdict["detail"]
    if found == "language model":
        return "position" if detail == "position" else "order" if detail == "order" else "several"
    return {"encoder": "encoder", "none": "none", "both": "several"}.get(found, "unknown")  # type: ignore[return-value]


def guards(found: Sequence[Mapping[str, Any]]) -> tuple[Guard, ...]:
    """The guards of a calibration."""
    told = []
    for one in found:
        rules = {rule["candidate"]: figure(rule["hit"]) for rule in one["rules"]}
        told.append(Guard(one["probe"]["task"], one["chance"], rules.pop("native"), rules))
    return tuple(told)


def only(guards: Iterable[Guard], label: str) -> tuple[Guard, ...]:
    """What ``guards`` say of one rule: others were asked about other items."""
    return tuple(replace(guard, rules={label: guard.rules[label]}) for guard in guards)


def evidence(found: Mapping[str, Any]) -> Evidence:
    """Evidence as ``check.json`` holds it."""
    told = [
        Arm(**{**arm, **_figures(arm), "change": {name: Figure(**its) for name, its in arm["change"].items()}})
        for arm in found["arms"]
    ]
    asked = [
        Guard(
            **{
                **guard,
                "native": Figure(**guard["native"]),
                "rules": {label: Figure(**its) for label, its in guard["rules"].items()},
            }
        )
        for guard in found["guards"]
    ]
    search = Search(**found["search"]) if found.get("search") else None
    return Evidence(**{**found, "arms": tuple(told), "guards": tuple(asked), "search": search})


def _figures(arm: Mapping[str, Any]) -> dict[str, Figure]:
    return {name: Figure(**arm[name]) for name in _OVERALL}
