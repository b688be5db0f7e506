"""From run folders to the report page and the heat maps beside it."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bapa.errors import ProbeError, RunError
from bapa.report import examples, figures, words
from bapa.report.page import render, section

if TYPE_CHECKING:
    from bapa.measure import Run


def write(folders: Sequence[Path], page: Path | None = None) -> Path:
    """Write the report over the runs in ``folders`` and return where it is.

    ``page``: the HTML file, ``report.html`` in the first folder by default; ``heatmaps.png`` and ``heatmaps.svg`` go
    beside it.

    Raises:
        RunError: a folder holds no finished run, or the page cannot be written.
    """
    from bapa.measure import load_run

    runs = [load_run(folder) for folder in folders]
    page = page or folders[0] / "report.html"
    names = _names(runs, folders)
    sections = [
        section(name, run.bias, run.config, run.commands, _examples(run, f"run{number}"))
        for number, (name, run) in enumerate(zip(names, runs, strict=True))
    ]
    maps = figures.heatmaps([(name, run.bias) for name, run in zip(names, runs, strict=True)])
    command = shlex.join(["bapa", "report", *map(str, folders), "--out", str(page)])
    try:
        page.parent.mkdir(parents=True, exist_ok=True)
        for suffix in (".png", ".svg"):
            figures.save(maps, part := page.with_name(f".part{suffix}"))
            _publish(part, page.with_name(f"heatmaps{suffix}"))
        (part := page.with_name(".part.html")).write_text(render(sections, command), "utf-8")
        _publish(part, page)
    except OSError as error:
        raise RunError(f"cannot write {page}: {error.strerror or error}; choose another place: --out FILE") from error
    return page


def _publish(part: Path, path: Path) -> None:
    with part.open("rb") as file:
        os.fsync(file.fileno())
    part.replace(path)


def _names(runs: Sequence[Run], folders: Sequence[Path]) -> list[str]:
    """Each run by its model, with its folder where several runs are of one model."""
    models = [str(run.bias["model"]["name"]) for run in runs]
    return [
        f"{model} ({folder.name})" if models.count(model) > 1 else model
        for model, folder in zip(models, folders, strict=True)
    ]


def _examples(run: Run, name: str) -> list[examples.Example]:
    """Pictures of the run's probe; none where its folder is gone or holds another probe by now."""
    from bapa.probe import Probe

    try:
        probe = Probe.load(run.config["probe"]["path"])
    except ProbeError:
        return []
    if probe.fingerprint != run.config["probe"]["fingerprint"]:
        return []
    return examples.examples(run.answers().to_pandas(), probe, list(run.bias["schemes"]), words.base(run.bias), name)
