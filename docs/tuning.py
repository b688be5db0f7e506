"""Writes docs/tuning.md: every rule on the reference models, training-free and after the same short tuning.

python docs/tuning.py --skew center --model 1=reference:center --model 2=build/reference/center-2
python docs/tuning.py --skew top --model 1=reference:top
python docs/tuning.py --write

Everything goes to build/tuning (--home), by skew, seed and rule; stopped, the same command goes on where it was.
`--write` only writes the page, over all that is there; `--only SEED/SCHEME` does a piece of the work.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student

from bapa.attach import balanced
from bapa.checkpoints import load
from bapa.errors import SchemeError
from bapa.measure import Run, load_run, measure
from bapa.probe import Design, Probe, build
from bapa.schemes import registry
from bapa.stats import Settings as Statistics
from bapa.tune import Settings, read
from studies.reference import dataset
from studies.reference.recipe import SKEWS

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
ORDER = ("center", "top", "bottom", "uniform")  # of the page's sections
FEW = ("native", "bapa", "bapa:distance=native", "shuffle")  # for the skews that balancing serves anyway
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
        """The rules that the model takes: for ``center`` those of ``bapa schemes``, and the distance that leaves the
        text where it was; for the other skews ``FEW`` of them.
        """
        model = load(self.models[seed]).model
        found = []
        for label in rules() if self.skew == "center" else FEW:
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


def rules() -> list[str]:
    """All rules, in the order they are shown in."""
    return [*registry.names(), "bapa:distance=native"]


def unseen(run: Run, label: str, skew: str, kind: str = "present") -> NDArray[np.float64]:
    """For each item the share of right answers to questions of ``kind`` over the cells training never asked about;
    over all cells where it asked about each.
    """
    answers = run.answers()
    answers = answers[(answers.scheme == label) & (answers.kind == kind)]
    asked = answers.cell.isin(SKEWS[skew])
    return answers[~asked | asked.all()].groupby("item").correct.mean().to_numpy()


def balanced_accuracy(run: Run, label: str, skew: str) -> NDArray[np.float64]:
    """For each item the mean of hits and right refusals over those cells."""
    return (unseen(run, label, skew) + unseen(run, label, skew, "absent")) / 2


def interval(values: NDArray[np.float64]) -> tuple[float, float, float]:
    """Mean with a 95 % bootstrap interval over items, in per cent."""
    draws = np.random.default_rng(0).choice(values, (DRAWS, len(values))).mean(1)
    low, high = np.quantile(draws, [0.025, 0.975])
    return 100 * float(values.mean()), 100 * float(low), 100 * float(high)


def over_seeds(values: Sequence[float]) -> str:
    """Mean over seeds with Student's 95 % interval, in per cent; two seeds bound nothing and get none."""
    mean = float(np.mean(values))
    if len(values) < 3:
        return f"{100 * mean:.1f}"
    half = float(student.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / np.sqrt(len(values)))
    return f"{100 * mean:.1f} <sub>± {100 * half:.1f}</sub>"


def finished(path: Path) -> Run | None:
    """The run in a folder, None where it is not finished."""
    return load_run(path) if (path / "run.json").is_file() else None


@dataclass(frozen=True)
class Results:
    """What is there of one skew: ``before`` by seed, ``after`` by rule and seed; finished runs only."""

    skew: str
    before: Mapping[int, Run]
    after: Mapping[str, Mapping[int, Run]]

    @classmethod
    def read(cls, home: Path, skew: str) -> Results:
        seeds = sorted(int(folder.name) for folder in (home / skew).glob("[0-9]*"))
        study = Study(skew, {}, home)
        before = {n: run for n in seeds if (run := finished(study.before(n))) is not None}
        after = {
            label: {n: run for n in seeds if (run := finished(study.after(n, label))) is not None} for label in rules()
        }
        return cls(skew, before, {label: runs for label, runs in after.items() if runs})

    def untuned(self, label: str) -> list[Run]:
        """The training-free runs that hold a rule."""
        return [run for run in self.before.values() if label in run.bias["schemes"]]

    @property
    def labels(self) -> list[str]:
        """The rules that were run."""
        return [label for label in rules() if self.untuned(label) or label in self.after]


def percent(value: float) -> str:
    """A share in per cent."""
    return f"{100 * value:.1f}"


def figures(found: Results) -> Iterator[str]:
    """Lines of the table: for each rule before and after tuning, the means over the seeds that are there."""
    yield f"| rule | | seeds | hits | {' | '.join(OVERALL.values())} |"
    yield f"|---|---|---|---|{'---|' * len(OVERALL)}"
    for label in found.labels:
        tuned = list(found.after.get(label, {}).values())
        moments = [("training-free", label, found.untuned(label)), ("tuned", label, tuned)]
        if label != "native":
            moments.append(("tuned, then run natively", "native", tuned))
        for moment, running, runs in moments:
            if not runs:
                continue
            hits = over_seeds([float(unseen(run, running, found.skew).mean()) for run in runs])
            overall = [
                over_seeds([run.bias["schemes"][running]["overall"][name]["value"] for run in runs]) for name in OVERALL
            ]
            yield f"| `{label}` | {moment} | {len(runs)} | {hits} | {' | '.join(overall)} |"


def against(found: Results, label: str) -> Iterator[tuple[int, Run, Run, list[NDArray[np.float64]]]]:
    """For each seed tuned under ``label`` and natively: seed, the native run, the other, and for each item how many
    more hits, and how much more balanced accuracy, the rule has.
    """
    native = found.after.get("native", {})
    for seed, run in found.after[label].items():
        if seed in native:
            differences = [
                quantity(run, label, found.skew) - quantity(native[seed], "native", found.skew)
                for quantity in (unseen, balanced_accuracy)
            ]
            yield seed, native[seed], run, differences


def seed_by_seed(found: Results) -> Iterator[str]:
    """The rules after tuning against the native continuation, on the same items."""
    yield (
        "| rule | seed | hits, native tuning | its false alarms | hits, this rule | its false alarms "
        "| difference of hits | of balanced accuracy |"
    )
    yield f"|---|---|{'---|' * 6}"
    for label in found.after:
        for seed, native, run, differences in against(found, label) if label != "native" else ():
            shown = [
                percent(value)
                for one, running in ((native, "native"), (run, label))
                for value in (
                    unseen(one, running, found.skew).mean(),
                    1 - unseen(one, running, found.skew, "absent").mean(),
                )
            ]
            gained = ["{:.1f} <sub>[{:.1f}, {:.1f}]</sub>".format(*interval(values)) for values in differences]
            yield f"| `{label}` | {seed} | {' | '.join((*shown, *gained))} |"


def verdicts(results: Sequence[Results]) -> Iterator[str]:
    """One line for each skew and rule: what tuning under it gains over tuning natively, and in how many seeds."""
    yield (
        "| skew | rule | seeds | gain of hits | seeds above, below zero | gain of balanced accuracy "
        "| seeds above, below zero | range: native, rule | false alarms: native, rule |"
    )
    yield f"|---|---|{'---|' * 7}"
    for found in results:
        for label in found.after:
            seeds = list(against(found, label)) if label != "native" else []
            if not seeds:
                continue
            cells = []
            for differences in zip(*(entry[3] for entry in seeds), strict=True):
                bounds = [interval(values)[1:] for values in differences]
                above, below = sum(low > 0 for low, _ in bounds), sum(high < 0 for _, high in bounds)
                cells += [over_seeds([float(values.mean()) for values in differences]), f"{above}, {below}"]
            for name in ("range", "false_alarm"):
                pair = [
                    np.mean([run.bias["schemes"][running]["overall"][name]["value"] for run in runs])
                    for running, runs in (("native", [e[1] for e in seeds]), (label, [e[2] for e in seeds]))
                ]
                cells.append(", ".join(map(percent, pair)))
            yield f"| {found.skew} | `{label}` | {len(seeds)} | {' | '.join(cells)} |"


def extent(results: Sequence[Results]) -> Iterator[str]:
    """What has been run."""
    yield "| skew | seeds measured training-free | rules | seeds tuned: rules |"
    yield "|---|---|---|---|"
    for found in results:
        by_seeds: dict[str, list[str]] = {}
        for label, runs in found.after.items():
            by_seeds.setdefault(", ".join(map(str, runs)), []).append(f"`{label}`")
        tuned = "; ".join(f"{seeds}: {' '.join(labels)}" for seeds, labels in by_seeds.items())
        labels = max((len(run.bias["schemes"]) for run in found.before.values()), default=0)
        yield f"| {found.skew} | {', '.join(map(str, found.before))} | {labels} | {tuned} |"


def page(results: Sequence[Results], text: str) -> str:
    """``text`` with what was found filled in between the marks."""
    details: list[str] = []
    for found in results:
        kind = "all nine cells, none of which is unseen" if found.skew == "uniform" else "the cells never asked about"
        details += [f"### `{found.skew}`", "", f"*Hits* are those over {kind}.", "", *figures(found), ""]
        details += ["Tuned under the rule against tuned natively, seed by seed:", "", *seed_by_seed(found), ""]
    for mark, lines in (
        ("extent", list(extent(results))),
        ("verdicts", list(verdicts(results))),
        ("figures", details[:-1]),
    ):
        start, end = f"<!-- {mark}: written by docs/tuning.py -->\n", f"<!-- end of {mark} -->"
        head, rest = text.split(start)
        text = head + start + "\n" + "\n".join(lines) + "\n\n" + end + rest.partition(end)[2]
    return text


def write(home: Path) -> None:
    """Write the page over all skews that ``home`` holds runs of."""
    results = [found for skew in ORDER if (found := Results.read(home, skew)).labels]
    PAGE.write_text(page(results, PAGE.read_text("utf-8")), "utf-8")


def main() -> None:
    """Do what is missing, then write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--skew", default="center", choices=list(SKEWS))
    parser.add_argument("--model", action="append", default=[], metavar="SEED=MODEL", help="of that skew; repeatable")
    parser.add_argument("--home", type=Path, default=Path("build/tuning"))
    parser.add_argument(
        "--only", action="append", default=[], metavar="SEED/SCHEME", help="a rule to tune under, or training-free"
    )
    parser.add_argument("--write", action="store_true", help="measure and tune nothing, write the page")
    given = parser.parse_args()
    models = dict(entry.split("=", 1) for entry in given.model or [f"1=reference:{given.skew}"])
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
        write(given.home)


if __name__ == "__main__":
    main()
