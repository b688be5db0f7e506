"""The report: one HTML page that holds everything it shows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

import bapa
from bapa.measure.floors import SeedNoise
from bapa.report import view, words
from bapa.report.examples import RULE, Example
from bapa.report.scale import DIFFERENCE, RATE


def render(runs: Sequence[Mapping[str, Any]], command: str) -> str:
    """The page over ``runs``, each as :func:`section` gives it. ``command``: the one that makes the page again."""
    environment = Environment(
        loader=PackageLoader("bapa.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(percent=view.percent, interval=view.interval)
    shown = {
        quantity.key for run in runs for scheme in run["schemes"] for quantity in (m.quantity for m in scheme["maps"])
    }
    return environment.get_template("page.html.j2").render(
        title=f"Spatial bias: {', '.join(run['name'] for run in runs)}",
        labels=list(dict.fromkeys(scheme["label"] for run in runs for scheme in run["schemes"])),
        lead=words.verdict([(run["name"], run["bias"]) for run in runs]),
        quantities=[quantity for quantity in view.MAPPED if quantity.key in shown],
        has_differences=any(len(run["schemes"]) > 1 for run in runs),
        runs=runs,
        rate_scale=RATE,
        difference_scale=DIFFERENCE,
        version=bapa.__version__,
        command=command,
    )


def section(
    name: str,
    bias: Mapping[str, Any],
    config: Mapping[str, Any],
    commands: Sequence[str],
    examples: Sequence[Example],
    noise: SeedNoise | None = None,
) -> dict[str, Any]:
    """What the page shows of one run. ``noise``: over training seeds, where it is known."""
    base = words.base(bias)
    probe = bias["probe"]
    return {
        "name": name,
        "bias": bias,
        "base": base,
        "level": f"{view.percent(bias['level'])} %",
        "interval_method": "bootstrap over items",
        "facts": f"{probe['items']} items in each of {probe['rows']} × {probe['cols']} cells, from {probe['source']}",
        "findings": words.findings(bias, noise),
        "noise": noise,
        "schemes": [_scheme(bias, base, label) for label in bias["schemes"]],
        "table": list(view.table(bias)),
        "tests": list(words.tests(bias)),
        "examples": examples,
        "examples_rule": RULE.format(base=base),
        "commands": commands,
        "provenance": list(_flat(config)),
    }


def _scheme(bias: Mapping[str, Any], base: str, label: str) -> dict[str, Any]:
    quantities = view.mapped(bias)
    overall = bias["schemes"][label]["overall"]
    parts = [
        f"{name} {view.percent(overall[key]['value'])}"
        for name, key in (("mean", "hit"), ("range", "range"), ("consistency", "consistency"))
    ]
    return {
        "label": label,
        "cells": bias["schemes"][label]["cells"],
        "maps": [view.rate_map(bias, label, quantity) for quantity in quantities],
        "differences": [view.difference_map(bias, base, label, quantity) for quantity in quantities]
        if label != base
        else [],
        "summary": " · ".join(parts),
    }


def _flat(config: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Nested settings as (dotted name, text) pairs."""
    for name, value in config.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", ", ".join(map(str, value)) or "none" if isinstance(value, list) else str(value)
