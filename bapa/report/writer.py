"""From run folders to the report page and the heat maps beside it."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from bapa.calibrate import load_calibration
from bapa.calibrate.runner import FOLDER, RECORD
from bapa.calibrate.words.runner import RECORD as FIT
from bapa.check.runner import RECORD as CHECK
from bapa.errors import ProbeError, RunError
from bapa.files import alone, replacing
from bapa.inference.store import RUN
from bapa.measure import Run, load_run
from bapa.origin.options import FILE as ORIGIN
from bapa.probe import Probe
from bapa.report import calibration, figures, items, tables, tuning
from bapa.report.again import commands
from bapa.report.between import between
from bapa.report.compare import base
from bapa.report.examples import examples
from bapa.report.page import render, section
from bapa.report.parts import parts
from bapa.stats.floors import SeedNoise, seed_noise


def write(
    folders: Sequence[Path], page: Path | None = None, *, paper: Path | None = None, seeds: Sequence[Path] = ()
) -> Path:
    """Write the report over the runs in ``folders`` and return where it is.

    ``page``: the HTML file, ``report.html`` in the first folder by default; beside it go ``heatmaps.png``,
    ``heatmaps.svg`` and a page of every item of each run. ``paper``: a folder for every table and figure as files (CSV,
    LaTeX, SVG, PDF). ``seeds``: runs of the first run's model trained with other seeds; their spread, the noise floor
    of training, is shown beside its figures. For the folder of a calibrated model, the page of its search, which stands
    beside its record.

    Raises:
        RunError: a folder holds no finished run, the page cannot be written, or ``seeds`` are not what they must be.
    """
    for folder in folders:
        if (folder / CHECK).is_file():
            raise RunError(f"{folder} holds a check: its page is {folder / 'check.html'}; bapa report {folder / 'run'}")
        if (folder / FOLDER / RECORD).is_file():
            if len(folders) > 1 or page or paper or seeds:
                raise RunError(f"{folder} holds a calibration, whose page is written alone: bapa report {folder}")
            with _writing(folder, "copy the folder to one that can be written"):
                return calibration.write(load_calibration(folder).found, folder / FOLDER)
        if not (folder / RUN).is_file():
            if (folder / tuning.RECORD).is_file():
                raise RunError(f"{folder} holds a tuning run: its page is {folder / tuning.PAGE}")
            if (folder / FIT).is_file():
                raise RunError(f"{folder} holds a fitted rule, which has no page; bapa measure {folder} --probe PROBE")
            if (folder / ORIGIN).is_file():
                raise RunError(
                    f"{folder} holds what bapa origin found and no run; bapa measure MODEL --probe PROBE --out {folder}"
                )
    runs = [load_run(folder) for folder in folders]
    noise = seed_noise([runs[0], *map(load_run, seeds)]) if seeds else None
    page = page or folders[0] / "report.html"
    names = _names(runs)
    sections = [
        _section(name, run, f"run{number}", None if number else noise)
        for number, (name, run) in enumerate(zip(names, runs, strict=True))
    ]
    named = [(name, run.bias) for name, run in zip(names, runs, strict=True)]
    maps = figures.heatmaps(named)
    floor = [word for folder in seeds for word in ("--noise-floor", str(folder))]
    command = shlex.join(["bapa", "report", *map(str, folders), *floor, "--out", str(page)])
    with _writing(page, "--out FILE"), alone(page):
        page.parent.mkdir(parents=True, exist_ok=True)
        for number, (name, run) in enumerate(zip(names, runs, strict=True), start=1):
            beside = page.with_name(f"{page.stem}-items{f'-{number}' if len(runs) > 1 else ''}.html")
            sections[number - 1]["items"] = items.write(name, run, _probe(run), beside, page.name).name
        for kind in ("png", "svg"):
            with replacing(page.with_name(f"heatmaps.{kind}")) as part:
                figures.save(maps, part, kind)
        with replacing(page) as part:
            part.write_text(render(sections, command, list(between(list(zip(names, runs, strict=True))))), "utf-8")
    if paper:
        with _writing(paper, "--paper FOLDER"):
            tables.save(named, paper)
    return page


@contextmanager
def _writing(place: Path, option: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise RunError(f"cannot write {place}: {error.strerror or error}; choose another place: {option}") from error


def _names(runs: Sequence[Run]) -> list[str]:
    """Each run by its model, with its folder where several runs are of one model.

    Raises RunError where one folder is named twice.
    """
    models = [str(run.bias["model"]["name"]) for run in runs]
    folders = [run.path.resolve() for run in runs]
    for run, folder in zip(runs, folders, strict=True):
        if folders.count(folder) > 1:
            raise RunError(f"{run.path} is named twice; name each run once")
    common = Path(os.path.commonpath([folder.parent for folder in folders]))
    return [
        f"{model} ({folder.relative_to(common).as_posix()})" if models.count(model) > 1 else model
        for model, folder in zip(models, folders, strict=True)
    ]


def _section(name: str, run: Run, prefix: str, noise: SeedNoise | None) -> dict[str, object]:
    probe = _probe(run)
    shown = examples(run.answers(), probe, list(run.bias["schemes"]), base(run.bias), prefix) if probe else None
    provenance = {**run.config["config"], **run.config}
    for key in ("config", "version"):
        del provenance[key]
    again = commands(run, probe)
    return section(name, run.bias, provenance, again, shown, parts=list(parts(run)), noise=noise)


def _probe(run: Run) -> Probe | None:
    """The probe of a run; None where its folder is gone or holds another probe by now.

    Its path is that of the folder in which the run was measured, which may be any folder above the run.
    """
    named = Path(run.bias["probe"]["path"])
    for folder in (named, *(above / named for above in run.path.resolve().parents)):
        try:
            probe = Probe.load(folder)
        except ProbeError:
            continue
        if probe.fingerprint == run.bias["probe"]["fingerprint"]:
            return probe
    return None
