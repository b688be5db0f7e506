"""Options that a source or a task would not look at: they are refused, so that none is given in vain."""

from __future__ import annotations

from dataclasses import asdict

from bapa.errors import ConfigError
from bapa.probe.design import LINES, Design, Signs
from bapa.probe.source import Columns

TRAIN = "train"  # the split where none is named
# By task, what its answers may be: yes and no are words, the options of a choice have letters.
_ANSWERS: dict[str, tuple[Signs, ...]] = {
    "match": ("words",),
    "order": ("words",),
    "name": ("words",),
    "choice": ("letters",),
    "where": ("letters", "words"),
    "count": ("letters", "words"),
    "evidence": ("letters", "words"),
    "vqa": (),
    "point": (),
}


def check_source(what: str, columns: Columns, split: str, *, table: bool = False) -> None:
    """Raise ConfigError where columns or a split are named that a source does not have. ``what``: the source, and what
    it lacks; ``table``: it has columns.
    """
    usual = asdict(Columns())
    given = [] if table else [f"--{name}-column" for name, its in asdict(columns).items() if its != usual[name]]
    if split != TRAIN:
        given.append("--split")
    if given:
        raise ConfigError(f"{what}: drop {', '.join(given)}")


def check_task(design: Design, columns: Columns) -> None:
    """Raise ConfigError where something is chosen that the task does not look at."""
    task, standard, usual = design.task, Design(), Columns()
    if task != "choice" and design.choices != standard.choices:
        raise ConfigError(f"the task {task} has no options to choose from: drop --choices, or use --task choice")
    if design.lines != LINES and (task not in ("where", "evidence") or design.line):
        why = f"{design.slots} stand in one row" if design.line else f"the task {task} asks about no rows and columns"
        raise ConfigError(f"{why}: drop --line")
    if design.answers is not None and design.answers not in _ANSWERS[task]:
        raise ConfigError(f"the task {task} is not answered in {design.answers}: drop --answers")
    if task == "count" and design.distractors == "similar":
        raise ConfigError("what is counted decides what fills the other cells: drop --distractors similar")
    for name in ("question", "answer"):
        if task != "vqa" and getattr(columns, name) != getattr(usual, name):
            raise ConfigError(f"the task {task} asks its own questions: drop --{name}-column, or use --task vqa")
