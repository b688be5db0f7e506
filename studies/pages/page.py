"""Writes docs/reference/ and the table of runs from the code's own tables: ``make pages``."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from inspect import cleandoc
from typing import Any

import click
import numpy as np
import pandas as pd
import typer

from bapa.cli.app import app
from bapa.inference.store import SCHEMA
from bapa.schemes import COMMON, SCHEMES, Option, part, table
from bapa.stats.bias import Settings, bias
from bapa.stats.quantities import CELLS, OVERALL
from studies.pages import beds
from studies.study import ROOT, filled

SCRIPTS = ROOT / "runs"
REPRODUCE = ROOT / "docs" / "reproduce.md"
HERE = ROOT / "docs" / "reference"
MADE = "<!-- written by `make pages`, do not edit -->\n"
COLUMNS = {
    "item": "number of the item in the probe",
    "cell": "place of the content, counted row by row from 0",
    "row": "row of that cell, from 0",
    "col": "column of that cell, from 0",
    "question": "which question of the item",
    "kind": "`present`, `absent`, `lure`, `near_miss` ...: what the question asks about",
    "scheme": "in text form, as given to `--scheme`",
    "expected": "the right answer",
    "answer": "the model's",
    "correct": "whether they agree",
    "margin": "logit of yes minus logit of no, where answers are read from logits",
    "mass": "probability that the model gave to yes and no together",
    "top": "the likeliest token of all, whether it is an answer or not; empty where the back end does not say",
    "error": "why there is no answer; empty where there is one",
}


def schemes() -> Iterator[str]:
    """Every scheme with its rule, its options and its source."""
    yield "# Schemes\n"
    yield "A scheme says where the tokens of one image go and where the text resumes. In text form:"
    yield "`name:option=value,option=value`.\n"
    yield "`bapa schemes --grid 24x24` shows what each does to a grid of patches. Every scheme takes these options:\n"
    yield from (f"- `{o.name}`: {o.accepts} (default `{o.default}`)" for o in COMMON.values())
    yield f"\n{cleandoc(part.__doc__ or '').replace('``', '`')}"
    yield "\n| scheme | rule | options | axes | mask of its paper | from |\n|---|---|---|:-:|---|---|"
    for row in table():
        own = "<br>".join(f"`{o.name}={o.default}`{_accepted(o)}" for o in row.own)
        cells = (f"`{row.name}`", _cell(row.summary), own or "–", str(row.axes), row.attention, _cell(row.paper))
        yield f"| {' | '.join(cells)} |"
    yield "\nAxes: 1 runs on every model, 3 needs M-RoPE. The mask of a paper is never set silently: ask for it with"
    yield "`image_attention`.\n"
    for name, kind in SCHEMES.items():
        yield f"## {name}\n\n{_prose(kind)}\n"


def _accepted(option: Option) -> str:
    """What an option accepts; those of every scheme are explained once."""
    return "" if option.name in COMMON else f" ({_cell(option.accepts)})"


def cli() -> Iterator[str]:
    """Every command with its arguments and options."""
    group: Any = typer.main.get_command(app)
    yield f"# Command line\n\n{group.help}\n"
    context = click.Context(group, info_name="bapa")
    yield "| command | |\n|---|---|"
    commands = {name: group.get_command(context, name) for name in group.list_commands(context)}
    yield from (
        f"| [`bapa {name}`](#bapa-{name}) | {_cell(command.get_short_help_str(200))} |"
        for name, command in commands.items()
    )
    for name, command in commands.items():
        inner = click.Context(command, info_name=f"bapa {name}", parent=None)
        usage = command.get_usage(inner).removeprefix("Usage: ")
        yield f"\n## bapa {name}\n\n{_cell(' '.join((command.help or '').split()))}\n\n```text\n{usage}\n```\n"
        shown = [p for p in command.params if not getattr(p, "hidden", False) and p.name != "help"]
        if shown:
            yield "| | | default |\n|---|---|---|"
        for parameter in shown:
            names = (
                parameter.opts
                if parameter.param_type_name == "option"
                else [parameter.metavar or parameter.name.upper()]
            )
            said = _default(parameter)
            shown_as = " ".join([*names, *parameter.secondary_opts])
            yield f"| `{shown_as}` | {_cell(getattr(parameter, 'help', '') or '')} | {said} |"


def _default(parameter: Any) -> str:
    """The default of an option, in words where it has no value of its own."""
    default = parameter.default
    if isinstance(words := getattr(parameter, "show_default", None), str):
        return words
    none = callable(default) or default is None or default is False or default in ((), []) or "UNSET" in repr(default)
    return "" if none else f"`{default}`"


def results() -> Iterator[str]:
    """The files of a run folder."""
    yield "# Result files\n\nA run folder holds `answers.parquet`, `bias.json` and, written last, `run.json`: what was"
    yield "run, with versions, fingerprints and the command.\n\n## answers.parquet\n"
    yield "One row per item, cell, question and scheme, in the probe's order.\n\n| column | type | |\n|---|---|---|"
    for field in SCHEMA:
        yield f"| `{field.name}` | {field.type} | {COLUMNS[field.name]} |"
    yield "| `caption`, `group`, `picture` | string | what the item may share with others: caption, class, source |"
    yield "\n## bias.json\n\nFractions, not per cent. An *estimate* is `{value, low, high}`, its interval over"
    yield "clusters: items, or what items share. Ranges and worst cells are cross-validated. How often the intervals"
    yield "hold is in studies/coverage.\n\n| key | |\n|---|---|"
    yield from (f"| `{path}` | {kind} |" for path, kind in dict.fromkeys(_keys(_sample())))
    yield "\n## Quantities\n\n| key | in words | |\n|---|---|---|"
    for quantity in {q.key: q for q in (*OVERALL, *CELLS)}.values():
        yield f"| `{quantity.key}` | {quantity.name} | {quantity.meaning} |"


def api() -> Iterator[str]:
    """The public functions, from their docstrings."""
    yield "# Python\n\nHeavy imports happen when a name is first used.\n"
    for module, text in {
        "bapa": "## Balancing",
        "bapa.probe": "## Probes",
        "bapa.measure": "## Measuring",
        "bapa.report": "## Reports",
        "bapa.schemes": "## Schemes",
        "bapa.errors": "## Errors",
    }.items():
        yield f"{text}\n"
        if module == "bapa.errors":
            yield "::: bapa.errors\n"
            continue
        found = __import__(module, fromlist=["__all__"])
        homes = {name: getattr(found, name) for name in found.__all__}
        yield from (f"::: {value.__module__}.{value.__qualname__}\n" for value in homes.values() if callable(value))


def runs() -> Iterator[str]:
    """The scripts that reproduce the paper, from the comments at their head."""
    yield "| script | shows | published, to compare with | GPU hours, estimated |\n|---|---|---|---|"
    for script in sorted(SCRIPTS.glob("*.sh")):
        said = dict(re.findall(r"^# (Shows|Published|Hours): (.*)$", script.read_text("utf-8"), re.MULTILINE))
        if said:
            yield f"| `runs/{script.name}` | {_cell(said['Shows'])} | {said['Published']} | {said['Hours']} |"


def reproduce() -> str:
    """docs/reproduce.md with its table of scripts written anew."""
    return filled(REPRODUCE.read_text("utf-8"), REPRODUCE.name, {"runs": "\n".join(runs())})


PAGES = {"schemes.md": schemes, "cli.md": cli, "results.md": results, "api.md": api}


def page(name: str) -> str:
    """The text of the page ``name``."""
    return MADE + "\n".join(PAGES[name]()).rstrip() + "\n"


def _cell(text: str) -> str:
    return text.replace("``", "`").replace("|", "\\|").replace("\n", " ")


def _prose(kind: type) -> str:
    lines = (kind.__doc__ or "").splitlines()
    return "\n".join(line.removeprefix("    ") for line in lines).replace("``", "`").strip()


def _sample() -> Mapping[str, Any]:
    """The statistics of a tiny run, for the names of what they hold."""
    rng = np.random.default_rng(0)
    rows = [
        (item, cell, *divmod(cell, 2), kind, kind, scheme, "yes", bool(rng.random() < 0.7), float(rng.normal()), None)
        for scheme in ("native", "null", "bapa")
        for item in range(8)
        for cell in range(4)
        for kind in ("present", "absent", "near_miss")
    ]
    names = ["item", "cell", "row", "col", "question", "kind", "scheme", "answer", "correct", "margin", "error"]
    return bias(pd.DataFrame(rows, columns=names), rows=2, cols=2, settings=Settings(resamples=20))


def _keys(found: Any, path: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(found, Mapping) and set(found) == {"value", "low", "high"}:
        yield path, "estimate"
    elif isinstance(found, Mapping):
        for key, value in found.items():
            shown = {"schemes": "schemes", "floors": "floors"}.get(path.split(".")[-1])
            yield from _keys(value, f"{path}.{'SCHEME' if shown else key}".lstrip("."))
    elif isinstance(found, list):
        for value in found:
            yield from _keys(value, f"{path}[]")
    else:
        kind = {bool: "true or false", int: "whole number", float: "number", str: "text"}.get(
            type(found), "number or null"
        )
        yield path, kind


def write() -> None:
    """Write all pages."""
    HERE.mkdir(exist_ok=True)
    REPRODUCE.write_text(reproduce(), "utf-8")
    for path, text in beds.written().items():
        path.write_text(text, "utf-8")
    for name in PAGES:
        (HERE / name).write_text(page(name), "utf-8")
        print(HERE / name)
