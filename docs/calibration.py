"""The study of calibrated balance: measures models and writes docs/calibration.md.

    python docs/calibration.py measure reference:bottom ... FOLDER/bottom-2 ... --work WORK
    python docs/calibration.py write --work WORK

Every step resumes. ``measure`` calibrates each model, asks rival rules on the items that judge, and then every distance
(the full scan); ``write`` fills the page from what there is and says what is missing.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any

os.environ.setdefault("OMP_NUM_THREADS", "1")  # a model this small only waits for more threads

import pandas as pd
import typer
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from bapa.calibrate import calibrate
from bapa.calibrate.criteria import CRITERIA, accuracy
from bapa.calibrate.curve import distance, points
from bapa.calibrate.curve import verdict as of_run
from bapa.calibrate.dials import distances
from bapa.calibrate.session import Session, part
from bapa.checkpoints import Loaded, load
from bapa.measure import load_run
from bapa.measure import measure as ask
from bapa.probe import Design, Probe, build
from bapa.report import view
from bapa.report.figures import PAPER, save
from bapa.stats import Settings
from studies.reference.build import tile_of_patch
from studies.reference.recipe import CELLS, IMAGE_TOKENS, SKEWS

PAGE = Path(__file__).with_suffix(".md")
MEASURES = ("hit", "range", "consistency", "false_alarm")
ITEMS, JUDGES, FRESH, SCANNED, SEED = 32, 60, 200, 24, 101
RIVALS = ("bapa:distance=native", "stride", "concentric", "manhattan", "pyramid")
TRANSFERS = {
    "2 x 2 cells of 36 px": Design(rows=2, cols=2, cell=36, items=24, seed=SEED + 1),
    "cells of 48 px, canvas shrunk to 72 px": Design(cell=48, items=24, seed=SEED + 2),
    "longer question": Design(
        items=24, seed=SEED + 3, prompts=("Look in the image. Is there {caption} in the image? Answer yes or no.",)
    ),
}
SETTINGS = Settings(resamples=1000)
app = typer.Typer(add_completion=False)


def slug(model: str) -> str:
    """The folder of a model's figures: ``bottom-1`` for ``reference:bottom``."""
    return f"{model.partition(':')[2]}-1" if model.startswith("reference:") else Path(model).name


@app.command()
def measure(
    models: list[str],
    work: Annotated[Path, typer.Option()],
    stage: Annotated[list[str], typer.Option(help="calibrate, fresh, rivals, transfer, scan")] = (  # type: ignore[assignment]
        "calibrate",
        "fresh",
        "rivals",
        "transfer",
        "scan",
    ),
) -> None:
    """Measure ``models`` into ``work``."""
    work.mkdir(parents=True, exist_ok=True)
    probe = build("digits", work / "probe", Design(items=ITEMS + JUDGES, seed=SEED))
    for name in models:
        model, folder = load(name), work / slug(name)
        found = calibrate(model, probe, folder, items=ITEMS, held_out=JUDGES, statistics=SETTINGS)
        judges = part(probe, ITEMS, ITEMS + JUDGES)
        if "fresh" in stage:
            others = build("digits", work / "fresh", Design(items=FRESH, seed=SEED + 9))
            ask(model, others, judged(found), folder / "study" / "fresh", statistics=SETTINGS)
        if "rivals" in stage:
            _ask(model, judges, folder, "rivals", JUDGES, [*RIVALS, *_extra(found)])
        if "transfer" in stage and name.startswith("reference:"):
            for number, (title, design) in enumerate(TRANSFERS.items()):
                other = build("digits", work / f"transfer-{number}", design)
                _ask(model, other, folder, f"transfer-{number}", len(other.items), judged(found))
                typer.echo(f"{name}: {title}")
        if "scan" in stage:
            _ask(model, judges, folder, "scan", SCANNED, list(dict.fromkeys([*distances(), found["chosen"]])))
        typer.echo(f"{name}: {found['chosen']}")


def judged(found: dict[str, Any]) -> list[str]:
    """Native, the paper's rule and the choice."""
    return list(dict.fromkeys(["native", "bapa", found["chosen"]]))


def _extra(found: dict[str, Any]) -> list[str]:
    """The best shared position where another rule was chosen, so that the second number's worth can be told."""
    chosen = next(point for point in found["curve"] if point["dial"] == found["chosen"])
    if not chosen["delta"]:
        return []
    shared = [p for p in found["curve"] if p["delta"] == 0 and p["items"] == chosen["items"]]
    return [max(shared, key=lambda point: point["mean"] - point["error"])["dial"]]


def _ask(model: Loaded, probe: Probe, folder: Path, name: str, items: int, rules: list[str]) -> None:
    """Keep the points of ``rules`` over the first ``items`` of ``probe`` as NAME.json, and the answers beside it."""
    out = folder / "study" / f"{name}.json"
    if out.exists():
        return
    rows = Session(model, probe, folder / "study", 18).ask(name, 0, items, rules)
    rows.to_parquet(out.with_suffix(".parquet"))
    out.write_text(json.dumps(points_of(rows, probe, rules), indent=1))


def points_of(rows: pd.DataFrame, probe: Probe, rules: list[str]) -> list[dict[str, Any]]:
    """The point of each rule from the answers to a probe under all of them."""
    answers = {rule: rows[rows["scheme"] == rule].reset_index(drop=True) for rule in rules}
    values = {rule: accuracy(its, probe.cells) for rule, its in answers.items()}
    return points(answers, values, probe.cells, SETTINGS)


@app.command()
def write(work: Annotated[Path, typer.Option()]) -> None:
    """Fill docs/calibration.md and its figure from what ``measure`` left in ``work``."""
    models = {
        f"{skew}-{seed}": record(work / f"{skew}-{seed}")
        for skew in SKEWS
        for seed in (1, 2, 3)
        if (work / f"{skew}-{seed}" / "calibration" / "calibration.json").exists()
    }
    names = [f"{skew}-{seed}" for skew in SKEWS for seed in (1, 2, 3)]
    runs = {model: work / model / "study" / "fresh" for model in models}
    fresh = {model: of_run(load_run(run)) for model, run in runs.items() if (run / "run.json").exists()}
    there = {kind: [m for m in models if asked(work, m, kind)] for kind in ("rivals", "scan", "transfer-0")}
    blocks = {
        "verdict": verdict(fresh, {model: models[model]["chosen"] for model in fresh}) + missing(names, fresh),
        "rivals": rivals(work, models) + missing(names, there["rivals"]),
        "scan": scan(work, models) + missing(names, there["scan"]),
        "free": label_free(work, models) + missing(names, there["scan"]),
        "transfer": transfer(work, models) + missing([name for name in names if name[-1] == "1"], there["transfer-0"]),
    }
    fill(blocks)
    for dark in (False, True):
        save(curves(work, models, dark=dark), PAGE.with_name(f"calibration-{'dark' if dark else 'light'}.svg"), "svg")


def fill(blocks: dict[str, str]) -> None:
    """Put each block between the two marks of its name in docs/calibration.md."""
    text = PAGE.read_text("utf-8")
    for name, block in blocks.items():
        marks = re.compile(rf"(<!-- {name}: .*? -->\n).*?(<!-- end of {name} -->)", re.DOTALL)
        text, found = marks.subn(lambda marks, block=block: f"{marks[1]}\n{block}\n{marks[2]}", text)
        if found != 1:
            raise SystemExit(f"{PAGE} must hold the two marks of {name} once")
    PAGE.write_text(text, "utf-8")


def missing(names: Iterable[str], there: Iterable[str]) -> str:
    """A line that says which models a table lacks, where it lacks any."""
    left = [name for name in names if name not in {*there}]
    return f"\nNot measured yet: {', '.join(left)}.\n" if left else ""


def record(folder: Path) -> dict[str, Any]:
    """The calibration of one model."""
    return json.loads((folder / "calibration" / "calibration.json").read_text("utf-8"))


def asked(work: Path, model: str, name: str) -> list[dict[str, Any]]:
    """The points of one of the study's questions to a model; none where it was not measured."""
    path = work / model / "study" / f"{name}.json"
    return json.loads(path.read_text("utf-8")) if path.exists() else []


def figures(found: dict[str, Any], digits: int = 1) -> str:
    """Mean / range / consistency / false alarms of one rule."""
    return " / ".join(view.percent(found[key]["value"], digits) for key in MEASURES)


def rows_of(lines: list[str]) -> str:
    """A Markdown table; nothing where it has no rows."""
    return "\n".join(lines) + "\n" if len(lines) > 2 else ""


def verdict(models: dict[str, dict[str, Any]], chosen: dict[str, str]) -> str:
    """The judged rules of every model on fresh items, with intervals, and whether the goals are met.

    ``models``: what the run on fresh items found, by rule; ``chosen``: the choice for each model.
    """
    lines = ["| model | rule | mean hit | range | consistency | false alarms | goal |", "|---|---|---|---|---|---|---|"]
    for model, found in models.items():
        for label, its in found.items():
            cells = (
                f"{view.percent(its[key]['value'], 1)} <sub>{view.interval(its[key], 1)}</sub>" for key in MEASURES
            )
            mine = label == chosen[model]
            goal = goal_of(model, found["native"], its) if mine else ""
            name = f"**`{label}`**" if mine else f"`{label}`"
            lines.append(f"| {model} | {name} | {' | '.join(cells)} | {goal} |")
    return rows_of(lines)


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


def rivals(work: Path, models: dict[str, Any]) -> str:
    """Rules side by side, mean / range / consistency / false alarms."""
    rules = ["native", "bapa", "chosen", *RIVALS]
    lines = ["| model | " + " | ".join(f"`{rule}`" if rule != "chosen" else "calibrated" for rule in rules) + " |"]
    lines.append("|---" * (len(rules) + 1) + "|")
    for model, found in models.items():
        others = {point["dial"]: point for point in asked(work, model, "rivals")}
        by_rule = {**others, **found["held_out"], "chosen": found["held_out"][found["chosen"]]}
        lines.append(f"| {model} | " + " | ".join(figures(by_rule[r]) if r in by_rule else "–" for r in rules) + " |")
    return rows_of(lines)


def scan(work: Path, models: dict[str, Any]) -> str:
    """The chosen rule beside the best distance of the full scan, on items that judge."""
    lines = ["| model | best of the full scan | its balanced accuracy | chosen on 32 items | its balanced accuracy |"]
    lines += ["|---|---|---|---|---|"]
    for model, found in models.items():
        points_ = {point["dial"]: point for point in asked(work, model, "scan")}
        if not points_:
            continue
        best = max(points_.values(), key=lambda point: point["balanced_accuracy"]["value"])
        mine = points_[found["chosen"]]
        told = [f"`{p['dial']}` | {view.percent(p['balanced_accuracy']['value'], 1)}" for p in (best, mine)]
        lines.append(f"| {model} | {' | '.join(told)} |")
    return rows_of(lines)


def label_free(work: Path, models: dict[str, Any]) -> str:
    """For each criterion, what it picks from the full scan on one half of the items, judged on the other half."""
    names = [*CRITERIA, *(["attention"] if any(_attention(work, model) for model in models) else [])]
    lines = ["| model | best possible | " + " | ".join(names) + " |", "|---" * (len(names) + 2) + "|"]
    lost: dict[str, list[float]] = {name: [] for name in names}
    for model in models:
        path = work / model / "study" / "scan.parquet"
        if not path.exists():
            continue
        rows = pd.read_parquet(path)
        rows = rows[rows["scheme"].isin(distances())]
        items = list(dict.fromkeys(rows["item"]))
        half = rows["item"].isin(items[: len(items) // 2])
        judged = {dial: accuracy(its, CELLS).mean() for dial, its in rows[~half].groupby("scheme", sort=False)}
        best = max(judged.values())
        scores = {
            name: {dial: float(criterion(its, CELLS).mean()) for dial, its in rows[half].groupby("scheme", sort=False)}
            for name, criterion in CRITERIA.items()
        }
        scores["attention"] = _attention(work, model)
        cells = []
        for name in names:
            if not scores[name]:
                cells.append("–")
                continue
            pick = max(scores[name], key=lambda dial: scores[name][dial])
            lost[name].append(best - judged[pick])
            cells.append(f"{view.percent(judged[pick], 1)} ({short(pick)})")
        lines.append(f"| {model} | {view.percent(best, 1)} | {' | '.join(cells)} |")
    if any(lost.values()):
        worst = (f"{view.percent(sum(v) / len(v), 1)}, at worst {view.percent(max(v), 1)}" for v in lost.values() if v)
        lines.append("| **lost, mean** | | " + " | ".join(worst) + " |")
    return rows_of(lines)


def _attention(work: Path, model: str) -> dict[str, float]:
    """Attention mass on the image under every distance, as docs/attention.py left it."""
    path = work / model / "study" / "attention.json"
    return json.loads(path.read_text("utf-8")) if path.exists() else {}


def short(dial: str) -> str:
    """A distance as people say it."""
    return "paper" if dial == "bapa" else dial.partition("=")[2]


def transfer(work: Path, models: dict[str, Any]) -> str:
    """The chosen rule on other canvases and in other words."""
    lines = ["| model | where | native | `bapa` | calibrated |", "|---|---|---|---|---|"]
    for model, found in models.items():
        for number, title in enumerate(TRANSFERS):
            by_rule = {point["dial"]: point for point in asked(work, model, f"transfer-{number}")}
            if by_rule:
                told = (figures(by_rule[rule]) for rule in ("native", "bapa", found["chosen"]))
                lines.append(f"| {model} | {title} | {' | '.join(told)} |")
    return rows_of(lines)


def curves(work: Path, models: dict[str, Any], *, dark: bool) -> Figure:
    """Mean hits against the distance, a panel per skew and a line per seed; shaded, where the training asked."""
    ground, ink, soft = PAPER[dark]
    figure = Figure(figsize=(9, 5), facecolor=ground, layout=ConstrainedLayoutEngine(h_pad=0.1, w_pad=0.1))
    for skew, ax in zip(SKEWS, figure.subplots(2, 2, sharex=True, sharey=True).flat, strict=True):
        ax.set_facecolor(ground)
        ax.spines[:].set_visible(False)
        ax.grid(axis="y", color=soft, alpha=0.25, lw=0.6)
        ax.tick_params(colors=soft, labelsize=8)
        ax.set_title(f"trained on: {skew}", color=ink, fontsize=10, loc="left")
        for low, high in trained(skew):
            ax.axvspan(low, high, color=soft, alpha=0.18, lw=0)
        for seed, style in ((1, "-"), (2, "--"), (3, ":")):
            model = f"{skew}-{seed}"
            # Without a full scan, the race: most of its distances rest on a few items, which small marks say.
            curve = asked(work, model, "scan") or (models[model]["curve"] if model in models else [])
            there = [p for p in curve if p["delta"] == 0]
            if there:
                x, y = [p["distance"] for p in there], [100 * p["hit"]["value"] for p in there]
                colour = ("#8fb8f2", "#5fd0bb", "#e3b04b") if dark else ("#1f4e8c", "#0b6e5f", "#8a5a00")
                size = [3 + 20 * p["items"] / max(q["items"] for q in there) for p in there]
                ax.plot(x, y, style, color=colour[seed - 1], lw=1.3, label=f"seed {seed}")
                ax.scatter(x, y, s=size, color=colour[seed - 1], lw=0)
                ax.plot(distance(models[model]["chosen"]), 2, "^", color=colour[seed - 1], ms=6, clip_on=False)
        ax.set_ylim(-2, 103)
    for ax in figure.axes:
        if ax.lines:
            ax.legend(frameon=False, fontsize=8, labelcolor=ink)
    figure.supxlabel("distance from the shared position to the text, in native distances", color=soft, fontsize=9)
    figure.supylabel("mean hit rate, %", color=soft, fontsize=9)
    return figure


def trained(skew: str) -> Iterator[tuple[float, float]]:
    """Native distances at which the tokens of the asked cells stood in training, unbroken runs of them."""
    middle = (IMAGE_TOKENS + 1) / 2
    tile = tile_of_patch().tolist()
    there = [IMAGE_TOKENS - token for token in range(IMAGE_TOKENS) if tile[token] in SKEWS[skew]]
    for far in there:
        if far + 1 not in there:
            near = far
            while near - 1 in there:
                near -= 1
            yield (near - 0.5) / middle, (far + 0.5) / middle


if __name__ == "__main__":
    app()
