"""The main job in one call: a shipped model answers differently when content moves, and what balanced positions do."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from bapa.probe import Design, build
from bapa.report import words, write

MODELS = ("bottom", "top")
SCHEMES = ("native", "bapa", "bapa:distance=native")


@dataclass(frozen=True)
class Demo:
    """``report``: the HTML page. ``sentences``: what was seen, in words drawn from the figures."""

    report: Path
    sentences: list[str]


def demo(out: Path, *, items: int) -> Demo:
    """Build the digits probe, measure the two shipped models under three schemes and write one report, all in ``out``.

    ``items``: number of probe items. Repeated, it resumes where it was stopped.
    """
    from transformers.utils.logging import disable_progress_bar

    from bapa.checkpoints import load
    from bapa.measure import measure

    disable_progress_bar()  # of loading weights, which takes no time here
    probe = build("digits", out / "probe", Design(items=items))
    runs = [measure(load(f"reference:{name}"), probe, SCHEMES, out / name) for name in MODELS]
    report = write([run.path for run in runs], out / "report.html")
    return Demo(report, words.summary([(run.bias["model"]["name"], run.bias) for run in runs]))
