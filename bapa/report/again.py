"""The commands that make the figures of a run again, whoever made them: ``bapa check``, a notebook, a script."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import asdict, fields
from inspect import signature
from typing import Any

from bapa.checkpoints.options import LoadOptions
from bapa.measure import Run, measure
from bapa.probe import Columns, Design, Probe
from bapa.stats import Settings


def commands(run: Run, probe: Probe | None) -> list[str]:
    """How to build the probe, where it is there, and to measure the run."""
    return [shlex.join(words) for words in ((_probe(probe) if probe else ()), _measure(run)) if words]


def asked(model: Mapping[str, Any]) -> Iterator[str]:
    """The options that load and address a model as its record says: those that are not at their defaults."""
    for name, value in model.items():
        if name == "thinking":
            yield from ("--thinking", "on" if value else "off")
        elif name in ("system", "opening"):
            yield from (f"--{name}", value if name == "system" else value.replace("\n", "\\n"))
        elif name == "trust_remote_code":
            yield "--trust-remote-code"
        elif name in [field.name for field in fields(LoadOptions)]:
            yield from ("--load", f"{name}={value if isinstance(value, str) else json.dumps(value)}")


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
    yield from asked(run.bias["model"])
    engine = config.get("run", {}).get("backend") == "vllm"  # whose own options have no names here
    for name, value in (config.get("run", {}) | config.get("statistics", {})).items():
        if name in ("resamples", "seed"):  # of older runs; nothing is drawn any more
            continue
        if name in standard and value != standard[name]:
            yield from (f"--{name.replace('_', '-')}", str(value))
        elif engine and name == "trust_remote_code":
            yield "--trust-remote-code"
        elif engine and name not in standard:
            yield from ("--engine", f"{name}={json.dumps(value == 'True') if value in ('True', 'False') else value}")
