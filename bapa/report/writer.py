"""From run folders to the report page and the heat maps beside it."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from inspect import signature
from pathlib import Path

from bapa.errors import ProbeError, RunError
from bapa.inference.store import replacing
from bapa.measure import Run, load_run, measure
from bapa.probe import Columns, Design, Probe
from bapa.report import figures, tables
from bapa.report.compare import base
from bapa.report.examples import examples
from bapa.report.page import render, section
from bapa.report.parts import parts
from bapa.stats import Settings
from bapa.stats.floors import SeedNoise, seed_noise


def write(
    folders: Sequence[Path], page: Path | None = None, *, paper: Path | None = None, seeds: Sequence[Path] = ()
) -> Path:
    """Write the report over the runs in ``folders`` and return where it is.

    ``page``: the HTML file, ``report.html`` in the first folder by default; ``heatmaps.png`` and ``heatmaps.svg`` go
    beside it. ``paper``: a folder for every table and figure as files (CSV, LaTeX, SVG, PDF). ``seeds``: runs of the
    first run's model trained with other seeds; their spread, the noise floor of training, is shown beside its figures.

    Raises:
        RunError: a folder holds no finished run, the page cannot be written, or ``seeds`` are not what they must be.
    """
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
    with _writing(page, "--out FILE"):
        page.parent.mkdir(parents=True, exist_ok=True)
        for kind in ("png", "svg"):
            with replacing(page.with_name(f"heatmaps.{kind}")) as part:
                figures.save(maps, part, kind)
        with replacing(page) as part:
            part.write_text(render(sections, command), "utf-8")
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
    """Each run by its model, with its folder where several runs are of one model."""
    models = [str(run.bias["model"]["name"]) for run in runs]
    return [
        f"{model} ({run.path.name})" if models.count(model) > 1 else model
        for model, run in zip(models, runs, strict=True)
    ]


def _section(name: str, run: Run, prefix: str, noise: SeedNoise | None) -> dict[str, object]:
    probe = _probe(run)
    commands = [shlex.join(_probe_command(probe))] if probe else []
    commands.append(shlex.join(_measure_command(run)))
    shown = examples(run.answers(), probe, list(run.bias["schemes"]), base(run.bias), prefix) if probe else []
    provenance = {**run.config["config"], **run.config}
    for key in ("config", "version"):
        del provenance[key]
    return section(name, run.bias, provenance, commands, shown, parts=list(parts(run)), noise=noise)


def _probe(run: Run) -> Probe | None:
    """The probe of a run; None where its folder is gone or holds another probe by now."""
    try:
        probe = Probe.load(run.bias["probe"]["path"])
    except ProbeError:
        return None
    return probe if probe.fingerprint == run.bias["probe"]["fingerprint"] else None


def _probe_command(probe: Probe) -> Iterator[str]:
    """The command that builds a probe, with every option that is not at its default."""
    yield from ("bapa", "probe", probe.source["name"], "--out", str(probe.path))
    standard, columns = Design(), asdict(Columns())
    for name, value in probe.design:
        flag = name.replace("_", "-")
        if name in ("prompts", "lines"):
            given = () if value == getattr(standard, name) else value
            yield from (word for one in given for word in (f"--{name[:-1]}", one))
        elif value != getattr(standard, name):
            yield from (f"--no-{flag}",) if value is False else (f"--{flag}", str(value))
    for name, column in probe.source.get("columns", {}).items():
        if column != columns[name]:
            yield from (f"--{name}-column", column)


def _measure_command(run: Run) -> Iterator[str]:
    """The command that measures a run again, whoever measured it: ``bapa demo``, a notebook, a script."""
    yield from ("bapa", "measure", run.bias["model"]["name"], "--probe", run.bias["probe"]["path"])
    yield from (word for scheme in run.bias["schemes"] for word in ("--scheme", scheme))
    yield from ("--out", str(run.path), "--items", str(run.bias["probe"]["items"]))
    standard = {name: option.default for name, option in signature(measure).parameters.items()} | vars(Settings())
    standard |= {"device": "cpu", "dtype": "float32"}
    config = run.config["config"]
    for name, value in (config.get("run", {}) | config.get("statistics", {})).items():
        if name in standard and value != standard[name]:
            yield from (f"--{name.replace('_', '-')}", str(value))
