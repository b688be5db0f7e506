"""The second training: what is left of it, and the tables that docs/studies/pretrained.md takes from it.

``answers.parquet`` in ``second``: four models asked on a CPU; ``curves.csv``: pooled AUC of all thirty by step, from
the log of their training; ``short.parquet``: what `make pretrained-seed` trained and asked.

python -m studies.pretrained.second WORK LOG         # answers and log into the repository
python -m studies.pretrained.second WORK --short     # answers of models trained in short
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import pandas as pd

from bapa.calibrate.frontier import Point, point
from bapa.calibrate.kept import kept
from bapa.stats import Settings
from studies.pretrained.arms import SEEDS
from studies.pretrained.figures import over_seeds
from studies.study import table
from studies.text import bounded, share

HERE = Path(__file__).parent / "second"
ANSWERS, CURVES, SHORT = HERE / "answers.parquet", HERE / "curves.csv", HERE / "short.parquet"
CELLS = 9
SETTINGS = Settings(resamples=1000)
PLACES = {"where_row": "rows", "where_col": "columns", "order": "order"}
TASKS = ("match", "where", "order")
_STEP = re.compile(r"^step (\d+) of .*?: ([A-G]-\d .*)$", re.MULTILINE)
PAIRS = {
    "C less A, last step": ("C", "A"),
    "D less A, last step": ("D", "A"),
    "E less A, last step": ("E", "A"),
    "F (tuned natively) less A": ("F", "A"),
    "G (tuned under BaPA) less F": ("G", "F"),
}


def collect(work: Path, log: Path | None = None) -> None:
    """Put answers and pooled AUC into small files."""
    HERE.mkdir(exist_ok=True)
    answered(work).to_parquet(ANSWERS, compression="zstd", index=False)
    points = _recorded(work) if log is None else _printed(log.read_text("utf-8"))
    pd.DataFrame(points).to_csv(CURVES, index=False)


def answered(work: Path) -> pd.DataFrame:
    """The answers of every model in ``work``, with its name and the task."""
    columns = ["item", "cell", "question", "kind", "scheme", "expected", "answer", "correct", "margin"]
    columns += ["caption", "group", "picture"]
    frames = []
    for path in sorted(path for task in TASKS for path in work.glob(f"[A-G]-?/{task}.parquet")):
        rows = pd.read_parquet(path, columns=columns)
        rows.insert(0, "task", path.stem)
        rows.insert(0, "model", path.parent.name)
        frames.append(rows)
    if not frames:
        sys.exit(f"no answers in {work}: it has no folder like A-1 with match.parquet; make one: make pretrained-seed")
    return pd.concat(frames, ignore_index=True)


def _recorded(work: Path) -> list[dict[str, Any]]:
    records = [json.loads(path.read_text("utf-8")) for path in sorted((work / "learned").glob("*.json"))]
    return [
        {"model": one["model"], "step": at["step"], "auc": round(at["auc"], 4)}
        for one in records
        for at in one["curve"]
    ]


def _printed(log: str) -> list[dict[str, Any]]:
    return [
        {"model": name, "step": int(step), "auc": float(auc)}
        for step, told in _STEP.findall(log)
        for name, auc in (one.split(" ") for one in told.split(", "))
    ]


def tables() -> dict[str, str]:
    """The tables, by the name of their place."""
    return {
        "second: judged": judged(pd.read_parquet(ANSWERS)),
        "second: pooled": pooled(pd.read_csv(CURVES)),
        "second: short": judged(pd.read_parquet(SHORT)),
    }


def judged(answers: pd.DataFrame) -> str:
    """Matches, rows, columns and order of each model under each rule; what a rule keeps of native's."""
    lines = []
    for model, its in answers.groupby("model"):
        for rule in its["scheme"].unique():
            one = _point(its, rule)
            places = {kind: its[(its["kind"] == kind) & (its["scheme"] == rule)] for kind in PLACES}
            right = [share(float(rows["correct"].mean())) for rows in places.values()]
            keeps = [bounded(one.kept[kind]) for kind in PLACES] if rule != "native" else [""] * len(PLACES)
            lines.append([str(model), f"`{rule}`", *map(bounded, (one.range, one.worst, one.mean)), *right, *keeps])
    head = ["model", "rule", "AUC range", "worst cell", "mean AUC", *PLACES.values()]
    return table([*head, *(f"{name} kept" for name in PLACES.values())], lines)


def _point(its: pd.DataFrame, rule: str) -> Point:
    def asked(kind: str, scheme: str) -> pd.DataFrame:
        return its[(its["kind"] == kind) & (its["scheme"] == scheme)]

    keeps = {kind: kept(asked(kind, "native"), asked(kind, rule), CELLS, SETTINGS) for kind in PLACES}
    matches = its[(its["task"] == "match") & (its["scheme"] == rule)]
    return point(rule, matches, keeps, CELLS, SETTINGS)


def pooled(curves: pd.DataFrame) -> str:
    """Pooled AUC over seeds at the last step, and differences of arms paired by seed."""
    last = curves.sort_values("step").groupby("model")["auc"].last()
    lines = []
    for arm in sorted({name[0] for name in last.index}):
        own = last[[name for name in last.index if name[0] == arm]]
        first = curves[(curves["model"].str[0] == arm) & (curves["auc"] >= 0.85)]["model"].nunique()
        lines.append(
            [arm, *_over(over_seeds(own.tolist()))[:2], "", ", ".join(f"{100 * one:.1f}" for one in own), str(first)]
        )
    for label, (one, other) in PAIRS.items():
        pairs = [(f"{one}-{seed}", f"{other}-{seed}") for seed in SEEDS]
        each = [last[a] - last[b] for a, b in pairs if a in last and b in last]
        if len(each) < 2:
            continue
        lines.append([label, *_over(over_seeds(each)), ", ".join(f"{100 * x:.1f}" for x in each), ""])
    head = ["pooled AUC", "mean", "95 % interval", "p, equivalence test (±2 points)", "by seed", "reached .85"]
    return table(head, [[cell.replace("-", "−") if n else cell for n, cell in enumerate(row)] for row in lines])


def _over(one: dict[str, Any]) -> list[str]:
    return [f"{100 * one['mean']:.1f}", f"{100 * one['low']:.1f} to {100 * one['high']:.1f}", f"{one['same']:.3f}"]


if __name__ == "__main__":
    where, *more = sys.argv[1:]
    if more == ["--short"]:
        answered(Path(where)).to_parquet(SHORT, compression="zstd", index=False)
    else:
        collect(Path(where), *map(Path, more))
