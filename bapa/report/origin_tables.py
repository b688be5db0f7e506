"""Tables: for the terminal, and as CSV."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from rich.table import Table

from bapa.files import replacing
from bapa.probe.slots import Slots
from bapa.stats.text import with_interval

NAMES = {
    "encoder": "encoder and projector",
    "order": "order of the tokens (mask)",
    "position": "rotary position",
    "language_model": "order and position together",
    "remainder": "not additive",
}


def attribution(found: Mapping[str, Any]) -> Table:
    """Shares of the spread, as read from ``origin.json``."""
    title = Slots.of(found["probe"]).say("share of the spread between cells")
    table = Table(title, box=None, pad_edge=False, header_style="dim")
    for title in ("hit rate", "margin", "hit rate, by patching"):
        table.add_column(title, justify="right")
    columns = (found["attribution"]["hit"], found["attribution"]["margin"], found["attribution_by_patching"]["hit"])
    for factor, name in NAMES.items():
        table.add_row(name, *(with_interval(shares[factor], unit=" %") if shares else "–" for shares in columns))
    return table


def write(found: Mapping[str, Any], folder: Path) -> None:
    """All tables of ``found`` as CSV: ``attribution``, ``rules``, ``encoder``, ``occlusion``, ``flow`` and
    ``flow_cells``, as far as there is something in them.
    """
    made = {
        "attribution": _attribution(found),
        "rules": _rules(found),
        "encoder": _encoder(found),
        "occlusion": _occlusion(found),
        "flow": _flow(found),
        "flow_cells": _flow_cells(found),
    }
    for name, rows in made.items():
        if len(frame := pd.DataFrame(rows)):
            with replacing(folder / f"{name}.csv") as part:
                frame.to_csv(part, index=False)


Rows = Iterator[dict[str, Any]]


def _attribution(found: Mapping[str, Any]) -> Rows:
    for source, moved in (("attribution", "exchange"), ("attribution_by_patching", "patch")):
        for quantity, shares in found[source].items():
            for factor, estimate in shares.items():
                yield {"features_moved_by": moved, "quantity": quantity, "factor": factor, **estimate}


def _rules(found: Mapping[str, Any]) -> Rows:
    for quantity, rules in found["rules"].items():
        for rule, told in rules.items():
            for figure, estimate in told.items():
                yield {"quantity": quantity, "rule": rule, "figure": figure, **estimate}


def _encoder(found: Mapping[str, Any]) -> Rows:
    for label, told in ((found["encoder"] or {}).get("probes") or {}).items():
        for layer in told["layers"]:
            for fitted in ("transfer", "everywhere"):
                for cell, estimate in enumerate(layer.get(fitted, {}).get("cells", ())):
                    yield {"label": label, "layer": layer["layer"], "fitted": fitted, "cell": cell, **estimate}


def _occlusion(found: Mapping[str, Any]) -> Rows:
    told = found["occlusion"] or {"maps": ()}
    for target, drops in enumerate(told["maps"]):
        for (row, col), drop in np.ndenumerate(np.array(drops)):
            yield {"target_cell": target, "mask_row": row, "mask_col": col, "fall_of_margin": drop}


def _flow(found: Mapping[str, Any]) -> Rows:
    for scheme, told in ((found["flow"] or {}).get("schemes") or {}).items():
        figures = {name: np.array(told[name]) for name in ("image", "target", "entropy", "balance", "first_token")}
        figures["image_sinks"] = np.array(told["image_sinks"])
        for layer, head, source in np.ndindex(figures["image"].shape):
            place = {"scheme": scheme, "layer": layer, "head": head, "source": ("question", "answer")[source]}
            yield place | {name: values[layer, head, source] for name, values in figures.items()}


def _flow_cells(found: Mapping[str, Any]) -> Rows:
    for scheme, told in ((found["flow"] or {}).get("schemes") or {}).items():
        attention, salient = np.array(told["target_cells"]), np.array(told.get("saliency_target_cells", ()))
        for layer, source, target, cell in np.ndindex(attention.shape):
            place = {"scheme": scheme, "layer": layer, "source": ("question", "answer")[source]}
            shown = {"target_cell": target, "cell": cell, "attention": attention[layer, source, target, cell]}
            if salient.size:
                shown["saliency"] = salient[layer, source, target, cell]
            yield place | shown
