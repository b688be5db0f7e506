"""Writes docs/tuning.md: every rule on the reference models, training-free and after the same short tuning.

python docs/tuning.py --model 1=reference:center --model 2=build/reference/center-2 --model 3=build/reference/center-3

Everything goes to build/tuning; stopped, the same command goes on where it was. `--write` only writes the page over
what is there already, `--only SEED/SCHEME` does a piece of the work.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student

from bapa.errors import SchemeError
from bapa.measure import Run, load_run, measure
from bapa.measure import Settings as Statistics
from bapa.models import balanced, load
from bapa.probe import Design, Probe, build
from bapa.reference import dataset
from bapa.reference.recipe import SKEWS
from bapa.schemes import registry
from bapa.tune import Settings, read

PAGE = Path(__file__).parent / "tuning.md"
ITEMS = 60
ROWS = 1280
TUNING = Settings(rate=3e-3, batch=32, save_every=0)
OVERALL = {
    "balanced_accuracy": "balanced accuracy",
    "range": "range",
    "consistency": "consistency",
    "false_alarm": "false alarms",
    "auc": "AUC",
}
DRAWS = 2000
DRAWN = Statistics(resamples=300)


@dataclass(frozen=True)
class Study:
    """``skew`` of models and data; ``models``: their names by seed; ``home``: where runs are kept."""

    skew: str
    models: Mapping[int, str]
    home: Path

    @property
    def probe(self) -> Probe:
        folder = self.home / "probe"
        return Probe.load(folder) if folder.exists() else build("digits", folder, Design(items=ITEMS))

    def schemes(self, seed: int) -> list[str]:
        """The rules of ``bapa schemes`` that the model takes, and the distance that leaves the text where it was."""
        model = load(self.models[seed]).model
        found = []
        for label in (*registry.names(), "bapa:distance=native"):
            try:
                with balanced(model, label):
                    found.append(label)
            except SchemeError:
                continue
        return found

    def before(self, seed: int) -> Path:
        """The run over all rules, training-free."""
        return self.home / self.skew / str(seed) / "training-free"

    def after(self, seed: int, label: str) -> Path:
        """The run after tuning under a rule: under it, and natively."""
        return self.home / self.skew / str(seed) / label.replace(":", "-") / "measured"

    def measure(self, seed: int) -> None:
        """Measure all rules, training-free."""
        measure(load(self.models[seed]), self.probe, self.schemes(seed), self.before(seed), audit=0, statistics=DRAWN)

    def tune(self, seed: int, label: str) -> None:
        """Tune under ``label`` on questions about the skew's cells only; measure under it, and natively."""
        from bapa.tune import tune  # takes long to import, and is not needed to write the page

        folder = self.after(seed, label).with_name("tuned")
        data = self.home / self.skew / f"data-{seed}"
        if not data.exists():
            dataset.write(data, skew=self.skew, rows=ROWS, seed=seed)
        tune(load(self.models[seed]), read(data), folder, scheme=label, settings=TUNING)
        labels = list(dict.fromkeys([label, "native"]))
        measure(load(str(folder)), self.probe, labels, self.after(seed, label), audit=0, statistics=DRAWN)


def unseen(run: Run, label: str, skew: str, kind: str = "present") -> NDArray[np.float64]:
    """For each item the share of right answers to questions of ``kind`` over the cells training never asked about."""
    answers = run.answers()
    answers = answers[(answers.scheme == label) & (answers.kind == kind) & ~answers.cell.isin(SKEWS[skew])]
    return answers.groupby("item").correct.mean().to_numpy()


def balanced_accuracy(run: Run, label: str, skew: str) -> NDArray[np.float64]:
    """For each item the mean of hits and right refusals over those cells."""
    return (unseen(run, label, skew) + unseen(run, label, skew, "absent")) / 2


def interval(values: NDArray[np.float64]) -> tuple[float, float, float]:
    """Mean with a 95 % bootstrap interval over items, in per cent."""
    draws = np.random.default_rng(0).choice(values, (DRAWS, len(values))).mean(1)
    low, high = np.quantile(draws, [0.025, 0.975])
    return 100 * float(values.mean()), 100 * float(low), 100 * float(high)


def over_seeds(values: Sequence[float]) -> str:
    """Mean over seeds with Student's 95 % interval, in per cent."""
    mean = float(np.mean(values))
    if len(values) < 2:
        return f"{100 * mean:.1f}"
    half = float(student.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / np.sqrt(len(values)))
    return f"{100 * mean:.1f} <sub>± {100 * half:.1f}</sub>"


def finished(path: Path) -> Run | None:
    """The run in a folder, None where it is not finished."""
    return load_run(path) if (path / "run.json").is_file() else None


def rows(study: Study, labels: Sequence[str]) -> Iterator[str]:
    """Lines of the table: for each rule before and after tuning, the means over the seeds that are there."""
    for label in labels:
        moments = [("training-free", label), ("tuned", label)]
        if label != "native":
            moments.append(("tuned, then run natively", "native"))
        for moment, running in moments:
            places = [study.before(n) if moment == "training-free" else study.after(n, label) for n in study.models]
            runs = [run for place in places if (run := finished(place)) is not None]
            if not runs:
                continue
            hits = [float(unseen(run, running, study.skew).mean()) for run in runs]
            overall = [
                over_seeds([run.bias["schemes"][running]["overall"][name]["value"] for run in runs]) for name in OVERALL
            ]
            yield f"| `{label}` | {moment} | {len(runs)} | {over_seeds(hits)} | {' | '.join(overall)} |"


def claim(study: Study) -> Iterator[str]:
    """The rules after tuning against the native continuation: unseen cells, seed by seed, on the same items."""
    gains: dict[str, list[list[float]]] = {}
    for seed in study.models:
        native = finished(study.after(seed, "native"))
        if native is None:
            continue
        for label in study.schemes(seed):
            run = finished(study.after(seed, label))
            if run is None or label == "native":
                continue
            differences = [
                quantity(run, label, study.skew) - quantity(native, "native", study.skew)
                for quantity in (unseen, balanced_accuracy)
            ]
            gains.setdefault(label, []).append([float(values.mean()) for values in differences])
            shown = [
                f"{100 * value:.1f}"
                for one, running in ((native, "native"), (run, label))
                for value in (
                    unseen(one, running, study.skew).mean(),
                    1 - unseen(one, running, study.skew, "absent").mean(),
                )
            ]
            found = ["{:.1f} <sub>[{:.1f}, {:.1f}]</sub>".format(*interval(values)) for values in differences]
            yield f"| {seed} | `{label}` | {' | '.join((*shown, *found))} |"
    for label, values in gains.items():
        if len(values) > 1:
            means = " | ".join(over_seeds(column) for column in zip(*values, strict=True))
            yield f"| all | `{label}` | | | | | {means} |"


def page(studies: Sequence[Study], text: str) -> str:
    """``text`` with its tables filled in between the marks."""
    for study in studies:
        labels = study.schemes(next(iter(study.models)))
        names = " | ".join(OVERALL.values())
        table = [f"| rule | | seeds | unseen cells | {names} |", f"|---|---|---|---|{'---|' * len(OVERALL)}"]
        against = [
            "| seed | rule | hits, native tuning | its false alarms | hits, this rule | its false alarms "
            "| difference of hits | of balanced accuracy |",
            f"|---|---|{'---|' * 6}",
        ]
        for mark, lines in (
            (f"{study.skew}", [*table, *rows(study, labels)]),
            (f"{study.skew} against native", [*against, *claim(study)]),
        ):
            start, end = f"<!-- {mark}: written by docs/tuning.py -->\n", f"<!-- end of {mark} -->"
            head, rest = text.split(start)
            text = head + start + "\n" + "\n".join(lines) + "\n\n" + end + rest.partition(end)[2]
    return text


def main() -> None:
    """Do what is missing, then write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--skew", default="center", choices=list(SKEWS))
    parser.add_argument("--model", action="append", default=[], metavar="SEED=MODEL")
    parser.add_argument("--home", type=Path, default=Path("build/tuning"))
    parser.add_argument(
        "--only", action="append", default=[], metavar="SEED/SCHEME", help="a rule to tune under, or training-free"
    )
    parser.add_argument("--write", action="store_true", help="measure and tune nothing, write the page")
    given = parser.parse_args()
    models = dict(entry.split("=", 1) for entry in given.model or ["1=reference:center"])
    study = Study(given.skew, {int(seed): name for seed, name in models.items()}, given.home)
    wanted = [tuple(entry.split("/", 1)) for entry in given.only]
    for seed in [] if given.write else study.models:
        if not wanted or (str(seed), "training-free") in wanted:
            study.measure(seed)
        for label in study.schemes(seed):
            if (not wanted or (str(seed), label) in wanted) and finished(study.after(seed, label)) is None:
                study.tune(seed, label)
                print(study.after(seed, label), flush=True)
    if given.write or not wanted:
        PAGE.write_text(page([study], PAGE.read_text("utf-8")), "utf-8")


if __name__ == "__main__":
    main()
