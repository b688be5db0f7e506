"""The tables of README.md and docs/paper.md, from the record: one entry a run, its schemes with their estimates."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from bapa.stats.quantities import spoken
from bapa.stats.text import percent
from studies.study import Blocks, Study, table
from studies.text import bounded, share

COLUMNS = spoken(("auc", "auc_range", "auc_worst_cell", "hit", "range", "false_alarm"))
README, PAPER = "README.md", "docs/paper.md"
PROBE = "bapa probe digits --items 200 --out build/figures/probe"

Record = list[dict[str, Any]]


def blocks(runs: Record) -> Blocks:
    """The texts of both pages."""
    return {README: {"figures": overall(runs)}, PAPER: {"figures": f"{variances(runs)}\n\n{overall(runs)}"}}


def overall(runs: Record) -> str:
    """The overall figures of the runs, with the commands that make them."""
    rows = [
        [f"`{name}`", f"`{scheme}`", *(bounded(found[key]) for key in COLUMNS)] for name, scheme, found in each(runs)
    ]
    commands = [PROBE, *dict.fromkeys(run["command"] for run in runs)]
    about = f"Per cent, with {percent(runs[0]['level'])} % intervals over {runs[0]['items']}"
    note = f"{about} items, each asked about in every cell. Made by `make figures`:"
    return "\n".join([table(["model", "scheme", *COLUMNS.values()], rows), "", note, "", "```sh", *commands, "```"])


def variances(runs: Record) -> str:
    """Mean and variance over cells as the paper gives them."""
    rows = []
    for name, scheme, found in each(runs):
        mean, spread = found["balanced_accuracy"], found["variance_corrected"]
        value, low, high = (share(100 * spread[end]) for end in ("value", "low", "high"))
        rows.append([f"`{name}`", f"`{scheme}`", bounded(mean), f"{value} <sub>[{low}, {high}]</sub>"])
    shown = table(["model", "scheme", "balanced accuracy", "variance of the hit rate over cells"], rows)
    note = "Variance in squared points, less the share that chance alone would give; the paper's is not corrected."
    return f"{shown}\n\n{note}"


def each(runs: Record) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Model, scheme and estimates, scheme by scheme."""
    yield from ((run["model"], scheme, found) for run in runs for scheme, found in run["schemes"].items())


STUDY = Study("figures", blocks)
