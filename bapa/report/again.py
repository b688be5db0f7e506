"""The commands that make the figures of a run again, whoever made them: ``bapa check``, a notebook, a script."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import asdict
from inspect import signature

from bapa.measure import Run, measure
from bapa.probe import Columns, Design, Probe
from bapa.stats import Settings


def commands(run: Run, probe: Probe | None) -> list[str]:
    """How to build the probe, where it is there, and to measure the run."""
    return [shlex.join(words) for words in ((_probe(probe) if probe else ()), _measure(run)) if words]


def _probe(probe: Probe) -> Iterator[str]:
    """The command that builds a probe, with every option that is not at its default."""
    yield from ("bapa", "probe", probe.given.get("source", probe.source["name"]), "--out", str(probe.path))
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
    if "split" in probe.given:
        yield from ("--split", probe.given["split"])


def _measure(run: Run) -> Iterator[str]:
    """The command that measures a run."""
    yield from ("bapa", "measure", run.bias["model"]["name"], "--probe", run.bias["probe"]["path"])
    yield from (word for scheme in run.bias["schemes"] for word in ("--scheme", scheme))
    yield from ("--out", str(run.path), "--items", str(run.bias["probe"]["items"]))
    standard = {name: option.default for name, option in signature(measure).parameters.items()} | vars(Settings())
    standard |= {"device": "cpu", "dtype": "float32", "backend": "hf"}
    config = run.config["config"]
    engine = config.get("run", {}).get("backend") == "vllm"  # whose own options have no names here
    for name, value in (config.get("run", {}) | config.get("statistics", {})).items():
        if name == "resamples":  # of older runs; nothing is resampled any more
            continue
        if name in standard and value != standard[name]:
            yield from (f"--{name.replace('_', '-')}", str(value))
        elif engine and name not in standard:
            yield from ("--engine", f"{name}={value}")
