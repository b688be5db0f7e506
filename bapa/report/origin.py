"""Where the bias comes from, as ``bapa origin`` found it: verdict, attribution, and what else it looked at."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from bapa.measure import Run
from bapa.origin import Origin
from bapa.probe import Probe
from bapa.probe.slots import Slots
from bapa.report.again import asked
from bapa.report.parts import Part, picture, table, vector
from bapa.report.view import units
from bapa.stats import clusters
from bapa.stats.text import percent, with_interval

_NUMERICS = {"device": "cpu", "dtype": "float32"}  # what a command that names none gets on a CPU


def write(origin: Origin, probe: Probe) -> None:
    """Write tables (CSV) and figures (SVG, PDF) of what ``bapa origin`` found about ``probe`` into its folder."""
    from bapa.origin.options import FOLDER
    from bapa.report import origin_figures as figures
    from bapa.report import origin_tables as tables
    from bapa.report.overlay import overlay

    folder = origin.path / FOLDER
    tables.write(origin.found, folder)
    figures.draw(origin.found, folder)
    if (example := origin.example) is None:
        return
    canvas = probe.compose(probe.items[0], example.cell)
    places = np.array([place or (np.nan, np.nan) for place in example.places])
    for dark in (False, True):
        drawn = overlay(canvas, example.attention, places, example.cell, probe.rows, probe.cols, dark=dark)
        figures.save(drawn, folder / f"overlay{'-dark' if dark else ''}.svg")


def part(run: Run) -> Part | None:
    """The part for a run folder that holds ``origin.json`` about the same model and probe; else None."""
    if not (run.path / "origin.json").is_file():
        return None
    from bapa.origin import load_origin

    found = load_origin(run.path).found
    same = all(found[name]["fingerprint"] == run.config["config"][name]["fingerprint"] for name in ("model", "probe"))
    if not same:
        return None
    command = shlex.join(_command(found, run.path))
    return Part("Where does the bias come from?", list(_body(found, run.path)), [command])


def _command(found: Mapping[str, Any], folder: Path) -> Iterator[str]:
    """The command that made ``found``, with every option that is not at its default."""
    from bapa.origin import Options

    yield from ("bapa", "origin", found["model"]["name"], "--probe", found["probe"]["path"], "--out", str(folder))
    yield from asked(found["model"])
    for name, value in found.get("run", {}).items():  # older records do not tell it
        if value != _NUMERICS[name]:
            yield from (f"--{name}", value)
    standard = asdict(Options())
    for name in ("items", "batch_size", "draws", "closely", "mask", "stride", "fill"):
        if found["options"][name] != standard[name]:
            yield from (f"--{name.replace('_', '-')}", str(found["options"][name]))
    if tuple(parts := found["options"]["parts"]) != standard["parts"]:
        yield from (word for part in parts or ["none"] for word in ("--part", part))
    for name, value in found["options"]["statistics"].items():
        if value != standard["statistics"][name]:
            yield from (f"--{name}", str(value))


def _numbered(found: Mapping[str, Any]) -> str:
    """What the numbers of cells in figures mean."""
    rows, cols = found["probe"]["rows"], found["probe"]["cols"]
    if rows == 1:
        return "Cells are numbered in the order in which the model is shown them."
    ends = f"1 is at the top left, {cols} at the top right, {rows * cols} at the bottom right"
    return f"Cells are numbered row by row: {ends}."


def _rules(found: Mapping[str, Any]) -> Iterator[str]:
    """The table of rules, by the quantity that the verdict goes by; without what there is nothing to tell of."""
    quantity = found["verdict"].get("quantity", "hit")
    rules = found["rules"][quantity]
    titles = {"left": "Spread left", "same": "Map as before", "mirrored": "Map turned around", "auc": "AUC"}
    there = [name for name in titles if any(told[name]["value"] is not None for told in rules.values())]
    if not there:
        return
    spoken = {"hit": "hit rate", "margin": "margin"}[quantity]
    spread = (
        f"variance of the {spoken} over the cells and share of the native map in the new one, both against native "
        "(100 %)"
    )
    told = [
        *([spread] if "left" in there else []),
        *(["how well present and absent are told apart"] * ("auc" in there)),
    ]
    proof = " Spread that goes together with the ability to answer proves nothing." if "left" in there else ""
    yield table(
        Slots.of(found["probe"]).say(f"Under other position rules and masks: {', and '.join(told)}.{proof}"),
        ("Rule", *(titles[name] for name in there)),
        [(rule, *(with_interval(told[name], unit=" %") for name in there)) for rule, told in rules.items()],
    )


def _fitted(probes: Mapping[str, Any]) -> str:
    """What linear probes were fitted on; of older records, which do not tell it, what is true of them all."""
    held = {its.get("held_out") for its in probes.values()}
    if held == {True}:
        return "the other cells and other items"
    return "the same items in the other cells" if held == {False} else "the other cells"


def _body(found: Mapping[str, Any], folder: Path) -> Iterator[str]:
    from bapa.origin.options import FOLDER
    from bapa.report import origin_figures as figures
    from bapa.report.origin_tables import NAMES

    say = Slots.of(found["probe"]).say
    yield found["verdict"]["sentence"]
    if figures.has_shares(found):
        yield picture(
            lambda dark: figures.attribution(found, dark=dark),
            say("Bars: share of the spread between cells that goes with encoder, order of tokens, and position."),
        )
        by = found.get("clusters", {"by": "item"})  # an older record went by items
        over, one = units({**found, "clusters": by}), clusters.NAMES[by["by"]][0]
        columns = (found["attribution"]["hit"], found["attribution"]["margin"], found["attribution_by_patching"]["hit"])
        yield table(
            say(
                "Share of the spread between cells that goes with each factor, when the target's tokens are moved in "
                f"one respect at a time; {percent(found['level'])} % intervals, bootstrap over {over}. With the cells "
                f"of every {one} shuffled, {found['control']['attributed']} of {found['control']['shuffles']} tries "
                "find a cause."
            ),
            ("Factor", "Hit rate", "Margin", "Hit rate, patched"),
            [
                (name, *(with_interval(column[factor], unit=" %") for column in columns))
                for factor, name in NAMES.items()
            ],
        )
    yield from _rules(found)
    if found["encoder"]:
        yield say(
            f"The encoder read directly: linear probes fitted on {_fitted(found['encoder']['probes'])}, tried on this "
            "cell. The band spans the cells, the dotted line is guessing."
        )
        yield picture(
            lambda dark: figures.encoder(found, dark=dark), "Accuracy of linear probes by layer of the encoder."
        )
    if found["occlusion"]:
        told = found["occlusion"]
        pointing = sum(told["pointing"]) / len(told["pointing"])
        yield say(
            "Where hiding a part of the picture lowers the answer's margin, the target framed. The largest fall lies "
            f"in the target's cell in {percent(pointing)} % of the pictures, by chance in "
            f"{percent(told['chance']['pointing'])} %."
        )
        words = say("Occlusion maps, one for each cell of the target.")
        yield picture(lambda dark: figures.occlusion(found, dark=dark), words)
    if found["flow"]:
        yield say(
            "Attention of the answer to the image, for what it is worth: a head may look without using what it sees, "
            "so this is weak evidence and no part of the verdict above, which rests on interventions. "
            + _numbered(found)
        )
        yield picture(
            lambda dark: figures.flow(found, dark=dark),
            say("Share of the attention each cell gets, by the target's cell."),
        )
        overlays = [folder / FOLDER / f"overlay{ground}.svg" for ground in ("", "-dark")]
        if all(overlay.is_file() for overlay in overlays):
            light, dark = (overlay.read_bytes() for overlay in overlays)
            yield say(
                "The same over one picture, the target in the last cell, framed: the more orange, the more attention, "
                "on one scale. The numbers are those of the cells above."
            )
            yield vector(light, dark, "One canvas of the probe, and over it the attention of the answer by scheme.")
    for what, why in found["not_done"].items():
        yield f"Not done: {what} ({why})."
