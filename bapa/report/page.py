"""The report: one HTML page that holds everything it shows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import bapa
from bapa.probe.slots import Slots
from bapa.report import chance, view, words
from bapa.report.between import Between
from bapa.report.compare import base
from bapa.report.environment import page
from bapa.report.examples import Example, rule
from bapa.report.parts import Part
from bapa.report.scale import DIFFERENCE, RATE
from bapa.schemes.shares import brief
from bapa.stats.comparisons import MARGIN
from bapa.stats.floors import SeedNoise
from bapa.stats.quantities import CELLS
from bapa.stats.text import percent

_COMMANDS = "These commands make every figure on this page again."


def render(runs: Sequence[Mapping[str, Any]], command: str, between: Sequence[Between] = ()) -> str:
    """The page over ``runs``, each as :func:`section` gives it. ``command``: the one that writes the page again;
    ``between``: runs of one probe against each other.
    """
    shown = {
        quantity.key for run in runs for scheme in run["schemes"] for quantity in (m.quantity for m in scheme["maps"])
    }
    written = page(
        "page.html.j2",
        title=f"Spatial bias: {', '.join(run['name'] for run in runs)}",
        labels=list(dict.fromkeys(scheme["label"] for run in runs for scheme in run["schemes"])),
        answer=words.answer(named := [(run["name"], run["bias"]) for run in runs]),
        lead=words.verdict(named) if len(runs) > 1 else runs[0]["slots"].say(words.spread(runs[0]["bias"])),
        question=words.asked([run["bias"] for run in runs]),
        through=words.through([run["bias"] for run in runs]),
        changed=words.changed([run["bias"] for run in runs]),
        quantities=[quantity for quantity in CELLS if quantity.key in shown],
        has_differences=any(len(run["schemes"]) > 1 for run in runs),
        runs=runs,
        between=between,
        provenance=list(_together([run["provenance"] for run in runs])),
        margin=percent(MARGIN),
        rate_scale=RATE,
        difference_scale=DIFFERENCE,
        version=bapa.__version__,
        commands=list(dict.fromkeys([*(line for run in runs for line in run["commands"]), command])),
    )
    shown_in_short, commands, whole = written.partition(_COMMANDS)
    return brief(shown_in_short) + commands + whole  # a command is to be typed, so it stays whole


def section(
    name: str,
    bias: Mapping[str, Any],
    config: Mapping[str, Any],
    commands: Sequence[str],
    examples: Sequence[Example] | None,
    *,
    parts: Sequence[Part] = (),
    noise: SeedNoise | None = None,
) -> dict[str, Any]:
    """What the page shows of one run.

    ``examples``: None where there is no probe to show. ``parts``: what other commands found out about it. ``noise``:
    over training seeds, where it is known.
    """
    start = base(bias)
    probe, slots = bias["probe"], Slots.of(bias["probe"])
    return {
        "name": name,
        "bias": bias,
        "base": start,
        "level": f"{percent(bias['level'])} %",
        "interval_method": f"over {view.units(bias)}",
        "facts": f"{probe['items']} items in each of {slots.size.replace(' x ', ' × ')}, from {probe['source']}",
        "slots": slots,
        "findings": words.findings(bias, noise),
        "noise": noise,
        "schemes": [_scheme(bias, label) for label in bias["schemes"]],
        "table": list(view.table(bias)),
        "places": list(chance.places(bias)),
        "differences": list(chance.differences(bias)),
        "classes": list(_by_class(bias)),
        "parts": parts,
        "examples": examples,
        "items": "",
        "examples_rule": rule(len(examples or ()), start),
        "commands": [*commands, *(command for part in parts for command in part.commands)],
        "provenance": dict(_flat(config)),
    }


def _scheme(bias: Mapping[str, Any], label: str) -> dict[str, Any]:
    quantities = view.mapped(bias)
    overall = bias["schemes"][label]["overall"]
    parts = [
        f"{name} {percent(overall[key]['value'])}"
        for name, key in (("AUC", "auc"), ("range", "auc_range"), ("hits", "hit"), ("range", "range"))
        if overall[key]["value"] is not None
    ]
    return {
        "label": label,
        "cells": bias["schemes"][label]["cells"],
        "maps": [view.rate_map(bias, label, quantity) for quantity in quantities],
        "differences": [view.difference_map(bias, label, quantity) for quantity in quantities]
        if label != base(bias)
        else [],
        "summary": " · ".join(parts),
    }


def _by_class(bias: Mapping[str, Any]) -> Iterator[tuple[str, int, list[str]]]:
    """Hits by class: its name, its items, its hit rate under every scheme; the worst under the base first."""
    told = {label: {one["class"]: one for one in found["classes"]} for label, found in bias["schemes"].items()}
    for name, one in told[base(bias)].items():
        yield name, one["items"], [percent(its[name]["hit"]) for its in told.values()]


def _together(runs: Sequence[Mapping[str, str]]) -> Iterator[tuple[str, list[str]]]:
    """The settings of all runs as (name, values): one value where the runs agree, else one per run."""
    for name in dict.fromkeys(name for run in runs for name in run):
        values = [run.get(name, "–") for run in runs]
        yield name, values[:1] if len(set(values)) == 1 else values


def _flat(config: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Nested settings as (dotted name, text) pairs."""
    for name, value in config.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", _told(value) or "none"


def _told(value: Any) -> str:
    """A setting in words: of a list its entries, of an entry with names its names too."""
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_told(one)}" for name, one in value.items())
    if isinstance(value, list):
        return ("; " if any(isinstance(one, Mapping) for one in value) else ", ").join(map(_told, value))
    return "" if value is None else f"{value:g}" if isinstance(value, float) else str(value)
