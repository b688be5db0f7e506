"""What a tuning run shows: its loss, and what the probe said before, meanwhile and after."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from bapa.files import read_json, replacing
from bapa.measure import Run, load_run
from bapa.report.between import Between, between
from bapa.report.environment import page
from bapa.report.figures import PAPER
from bapa.report.parts import Part, picture
from bapa.stats.quantities import spoken
from bapa.stats.text import percent

PAGE, RECORD, RUNS = "tuning.html", "tune.json", "evaluations"
TOLD = ("config", "command", "loss", "evaluations")  # of the record
CURVES = spoken(("hit", "range", "consistency", "false_alarm"))
SAID = {"Range of the AUC": "range of the AUC", "Worst cell, AUC": "worst cell", "Mean AUC": "mean AUC"}
EVENER = {
    -1: "The answers are evener. ",
    0: "Whether the answers are evener cannot be told. ",
    1: "They are less even. ",
}
UNLOGGED = "No loss was logged. Without --trl logging_steps or logging_strategy, that of every step is."
_INKS = {False: ("#0b6e99", "#c2571a", "#5b7a1d", "#8a3f8f"), True: ("#63b8dd", "#f0995c", "#a9c964", "#cf8ad4")}


def write(folder: Path) -> Path:
    """Write ``tuning.html``, one self-contained page over ``tune.json``, into the ``folder`` of a finished tuning run.

    Returns the page.
    """
    record = read_json(folder / RECORD, *TOLD)
    changes = before_and_after(folder, record)
    drawn = bool(record["loss"] or record["evaluations"])
    text = page(
        "tuning.html.j2",
        record=record,
        config=record["config"],
        last=record["loss"][-1] if record["loss"] else None,
        steps=_steps(record),
        unlogged=None if record["loss"] else UNLOGGED,
        verdict=verdict(record, changes),
        changes=changes,
        columns=CURVES,
        quantities=(),  # the style of pages knows maps, too
        light=svg(record, dark=False) if drawn else None,
        dark=svg(record, dark=True) if drawn else None,
    )
    with replacing(folder / PAGE) as part:
        part.write_text(text, "utf-8")
    return folder / PAGE


def before_and_after(folder: Path, record: Mapping[str, Any]) -> Between | None:
    """What the probe changed between the first and the last measurement; None where there are not two of them."""
    steps = [entry["step"] for entry in record["evaluations"]]
    runs = [(f"step {step}", folder / RUNS / f"step-{step}") for step in dict.fromkeys([*steps[:1], *steps[-1:]])]
    if len(runs) < 2 or not all(path.is_dir() for _, path in runs):
        return None
    return next(between([(name, load_run(path)) for name, path in runs]), None)


def verdict(record: Mapping[str, Any], changes: Between | None) -> list[str]:
    """What one may say first: how the answers changed under the rule of the tuning, or why that is not known."""
    if changes is None:
        return ["Whether the answers are evener was not measured: tune with --probe PROBE."]
    label = record["config"]["scheme"]
    rows = {row.quantity: row for row in changes.rows if row.scheme == label}
    told = [
        f"{words} {rows[name].size} points {rows[name].interval}{'' if rows[name].p == '–' else f' ({rows[name].p})'}"
        for name, words in SAID.items()
        if name in rows
    ]
    if not told:
        return [f"The probe was not asked under {label}; below is what changed under other rules."]
    found = EVENER[rows["Range of the AUC"].direction] if "Range of the AUC" in rows else ""
    return [f"{found}On {changes.items} items, under {label}, after minus before: {', '.join(told)}."]


def lines(folder: Path) -> Iterator[str]:
    """What came out of the tuning run in ``folder``, for a terminal: the loss, and the probe before and after."""
    record = read_json(folder / RECORD, *TOLD)
    if record["loss"]:
        first, last = record["loss"][0], record["loss"][-1]
        yield f"loss {first['loss']:.3f} at step {first['step']}, {last['loss']:.3f} at step {last['step']}"
    else:
        yield UNLOGGED
    if len(record["evaluations"]) > 1:
        before, after = (record["evaluations"][at]["schemes"] for at in (0, -1))
        for label, its in after.items():
            told = [
                f"{title} {percent(before[label]['overall'][name]['value'], 1)} to "
                f"{percent(its['overall'][name]['value'], 1)}"
                for name, title in CURVES.items()
            ]
            yield f"{label}: {', '.join(told)}, before to after, per cent"


def part(run: Run) -> Part | None:
    """How the model of ``run`` was tuned, for its report; None where its folder holds no ``tune.json``."""
    file = Path(run.bias["model"]["name"]) / RECORD
    if not file.is_file():
        return None
    record = read_json(file, *TOLD)
    if not record["loss"]:
        return None
    config, last = record["config"], record["loss"][-1]
    made = (
        f"Tuned from {config['model']['name']} under {config['scheme']} on {config['data']['rows']} rows of "
        f"{config['data']['name']}: {last['step']} steps, last loss {last['loss']:.3f}."
    )
    words = "Loss by step" + (", and hit rate and range of the probe by step" if record["evaluations"] else "")
    return Part("How it was tuned", [made, picture(lambda dark: curves(record, dark=dark), words)], [record["command"]])


def svg(record: Mapping[str, Any], *, dark: bool = False) -> str:
    """The curves as an SVG element."""
    written = BytesIO()
    with mpl.rc_context({"svg.hashsalt": "bapa", "svg.fonttype": "none"}):
        figure = curves(record, dark=dark)
        FigureCanvasSVG(figure).print_svg(written, metadata={"Date": None})
    text = written.getvalue().decode()
    return text[text.index("<svg") :]


def curves(record: Mapping[str, Any], *, dark: bool = False) -> Figure:
    """Loss by step, where it was logged; beside it, where a probe was measured, hit rate (full) and range (dashed) of
    every scheme. One of the two there must be.
    """
    ground, ink, soft = PAPER[dark]
    logged, evaluations = record["loss"], record["evaluations"]
    size = (9.5 if evaluations and logged else 6.5 if evaluations else 5, 3.1)  # the legend stands beside the probe
    figure = Figure(figsize=size, facecolor=ground, layout=ConstrainedLayoutEngine(wspace=0.06))
    axes = figure.subplots(1, bool(logged) + bool(evaluations), squeeze=False)[0]
    if logged:
        steps, losses = zip(*((entry["step"], entry["loss"]) for entry in logged), strict=True)
        axes[0].plot(steps, losses, color=_INKS[dark][0], lw=0.9, alpha=0.45)
        axes[0].plot(steps, _smooth(losses), color=_INKS[dark][0], lw=1.8)
        axes[0].set_title("loss on the answers (bold: running mean)", color=ink, fontsize=10, loc="left")
        axes[0].set_ylim(bottom=0)
    if evaluations:
        beside = axes[-1]
        at = [entry["step"] for entry in evaluations]
        for number, label in enumerate(evaluations[0]["schemes"]):
            colour = _INKS[dark][number % len(_INKS[dark])]
            for name, style in (("hit", "-"), ("range", "--")):
                told = [entry["schemes"][label]["overall"][name]["value"] for entry in evaluations]
                values = [math.nan if value is None else 100 * value for value in told]  # nan: no dot, and no line
                beside.plot(
                    at, values, style, color=colour, lw=1.8, marker="o", ms=3.5, label=f"{label}: {CURVES[name]}"
                )
        beside.set_title("probe, %", color=ink, fontsize=10, loc="left")
        beside.set_ylim(-3, 103)
        beside.legend(
            frameon=False, fontsize=8, handlelength=3.2, labelcolor=soft, loc="center left", bbox_to_anchor=(1, 0.5)
        )
    for ax in axes:
        ax.set_facecolor(ground)
        ax.set_xlabel("step", color=soft, fontsize=9)
        ax.tick_params(colors=soft, labelsize=8)
        ax.spines[["top", "right"]].set_visible(False)
        ax.spines[["left", "bottom"]].set_color(soft)
    return figure


def _steps(record: Mapping[str, Any]) -> int | None:
    """How many steps were done; None where nothing tells it."""
    told = [entry["step"] for entry in (*record["loss"][-1:], *record["evaluations"][-1:])]
    return max((step for step in (*told, record["config"]["settings"].get("steps")) if step), default=None)


def _smooth(values: tuple[float, ...], weight: float = 0.8) -> list[float]:
    """A running mean that starts at the first value."""
    found: list[float] = []
    for value in values:
        found.append(weight * found[-1] + (1 - weight) * value if found else value)
    return found
