"""Every command that a page or a script names is one: its verb, its options, its file, its module, its target."""

from __future__ import annotations

import re
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import cast

import click
import pytest
from typer.main import get_command

from bapa.cli.app import app

ROOT = Path(__file__).parents[1]
PAGES = (*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("runs/*.sh"), ROOT / "studies" / "all.sh")
CODE = re.compile(r"```(?:sh|console|bash)\n(.*?)```|`([^`\n]+)`", re.DOTALL)


@cache
def options() -> dict[str, set[str]]:
    """The options of each verb of ``bapa``."""
    group = cast("click.Group", get_command(app))
    context = click.Context(group)
    told = {
        name: [param for param in command.params if param.param_type_name == "option"]
        for name in group.list_commands(context)
        if (command := group.get_command(context, name))
    }
    return {
        name: {"--help", *(word for param in params for word in (*param.opts, *param.secondary_opts))}
        for name, params in told.items()
    }


def lines(text: str, script: bool) -> list[str]:
    """Commands of a page's code, or of a script; a line that goes on below is one line."""
    parts = [text] if script else [block or inline for block, inline in CODE.findall(text)]
    joined = "\n".join(parts).replace("\\\n", " ")
    return [line.split(" #")[0] for line in joined.splitlines() if line.strip()[:1] != "#"]


def wrong(line: str, known: dict[str, set[str]], targets: set[str]) -> list[str]:
    """What of a command line does not exist."""
    found = []
    for verb, rest in re.findall(r"(?:^|[\s;/(])bapa ([a-z]+)\b([^|;`]*)", line):
        if verb not in known:
            found.append(f"bapa {verb}")
            continue
        if verb == "serve":  # what it does not know, it hands on to the engine
            continue
        rest = rest.partition(" -- ")[0]  # behind it stands a command of the user
        words = (re.split(r"[=\s]", word)[0] for word in re.findall(r"(?:^|\s)(--[\w-]+\S*)", rest))
        found += [f"bapa {verb} {word}" for word in words if word not in known[verb]]
    found += [f"make {name}" for name in re.findall(r"(?:^|\s)make ([a-z][\w-]*)", line) if name not in targets]
    files = re.findall(r"(?:python|bash|sh) ((?:docs|benchmarks|runs|studies|tests)/\S+?\.(?:py|sh))", line)
    found += [name for name in files if not (ROOT / name).is_file()]
    modules = re.findall(r"python -m ((?:studies|bapa|benchmarks)[\w.]*)", line)
    return found + [name for name in modules if name != "studies.NAME" and find_spec(name) is None]


def targets() -> set[str]:
    return set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_commands_exist(path: Path) -> None:
    known, made = options(), targets()
    text = path.read_text("utf-8")
    bad = {line.strip(): found for line in lines(text, path.suffix == ".sh") if (found := wrong(line, known, made))}
    assert not bad


@pytest.mark.parametrize(
    "line",
    [
        "bapa weigh reference:top",
        "bapa report run --probe probe",
        "PYTHONPATH=. python docs/tuning.py --model 1=x",
        "python -m studies.nothing run",
        "make nothing",
    ],
)
def test_a_command_that_is_none_is_seen(line: str) -> None:
    assert wrong(line, options(), targets())
    (read,) = lines(f"text\n\n```sh\n{line}\n```\n", script=False)
    assert read == line
