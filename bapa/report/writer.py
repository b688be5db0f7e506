"""From run folders to the report page and the heat maps beside it."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

from bapa.errors import ProbeError, RunError
from bapa.measure import Run, load_run
from bapa.measure.floors import SeedNoise, seed_noise
from bapa.measure.store import replacing
from bapa.probe import Columns, Design, Probe
from bapa.report import figures, words
from bapa.report.examples import examples
from bapa.report.page import render, section


def write(folders: Sequence[Path], page: Path | None = None, *, seeds: Sequence[Path] = ()) -> Path:
    """Write the report over the runs in ``folders`` and return where it is.

    ``page``: the HTML file, ``report.html`` in the first folder by default; ``heatmaps.png`` and ``heatmaps.svg`` go
    beside it. ``seeds``: runs of the first run's model trained with other seeds; their spread, the noise floor of
    training, is shown beside its figures.

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
    maps = figures.heatmaps([(name, run.bias) for name, run in zip(names, runs, strict=True)])
    floor = [word for folder in seeds for word in ("--noise-floor", str(folder))]
    command = shlex.join(["bapa", "report", *map(str, folders), *floor, "--out", str(page)])
    try:
        page.parent.mkdir(parents=True, exist_ok=True)
        for kind in ("png", "svg"):
            with replacing(page.with_name(f"heatmaps.{kind}")) as part:
                figures.save(maps, part, kind)
        with replacing(page) as part:
            part.write_text(render(sections, command), "utf-8")
    except OSError as error:
        raise RunError(f"cannot write {page}: {error.strerror or error}; choose another place: --out FILE") from error
    return page


def _names(runs: Sequence[Run]) -> list[str]:
    """Each run by its model, with its folder where several runs are of one model."""
    models = [str(run.bias["model"]["name"]) for run in runs]
    return [
        f"{model} ({run.path.name})" if models.count(model) > 1 else model
        for model, run in zip(models, runs, strict=True)
    ]


def _section(name: str, run: Run, prefix: str, noise: SeedNoise | None) -> dict[str, object]:
    probe = _probe(run)
    commands = [shlex.join(_command(probe)), run.config["command"]] if probe else [run.config["command"]]
    shown = examples(run.answers(), probe, list(run.bias["schemes"]), words.base(run.bias), prefix) if probe else []
    provenance = {**run.config["config"], **run.config}
    for key in ("config", "command", "version"):
        del provenance[key]
    return section(name, run.bias, provenance, commands, shown, noise)


def _probe(run: Run) -> Probe | None:
    """The probe of a run; None where its folder is gone or holds another probe by now."""
    try:
        probe = Probe.load(run.bias["probe"]["path"])
    except ProbeError:
        return None
    return probe if probe.fingerprint == run.bias["probe"]["fingerprint"] else None


def _command(probe: Probe) -> Iterator[str]:
    """The command that builds a probe, with every option that is not at its default."""
    yield from ("bapa", "probe", probe.source["name"], "--out", str(probe.path))
    standard, columns = Design(), asdict(Columns())
    for name, value in probe.design:
        flag = name.replace("_", "-")
        if name == "prompts":
            yield from (word for prompt in value for word in ("--prompt", prompt))
        elif value != getattr(standard, name):
            yield from (f"--no-{flag}",) if value is False else (f"--{flag}", str(value))
    for name, column in probe.source.get("columns", {}).items():
        if column != columns[name]:
            yield from (f"--{name}-column", column)
