"""Rows, columns and things in places, asked in words under fitted rules: PLAN-4.md."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from bapa.attach import balanced
from bapa.calibrate.words.reader import CELLS, Wording
from studies.fitted.ask import SIDE, Bed, read
from studies.words.ask import embedded, kept
from studies.words.neighbours import called, told
from studies.words.reading import RESAMPLES, estimate

GRIDS = 40
LINES: Mapping[str, Sequence[str]] = {"row": ("top", "middle", "bottom"), "column": ("left", "middle", "right")}
PLACES = (
    *("top left corner", "top middle", "top right corner"),
    *("middle left", "center", "middle right"),
    *("bottom left corner", "bottom middle", "bottom right corner"),
)
FORMS = (*LINES, "place")
CHANCE = {"row": 1 / 3, "column": 1 / 3, "row and column": 1 / 9, "thing in a place": 1 / 9}
Array = NDArray[np.float64]


def wordings(form: str, names: Sequence[str]) -> list[Wording]:
    """The questions of a form about one grid, nine of them."""
    if form == "place":
        return [
            (f"What is in the {place} of the picture?", f"In the {place} of the picture there is a") for place in PLACES
        ]
    one, two, three = LINES[form]
    question = f"In which {form} is the {{thing}}: the {one}, the {two} or the {three} {form}?"
    return [(question.format(thing=name), f"The {name} is in the") for name in names]


def ask(bed: Bed, rules: Mapping[str, tuple[str, str]], parts: Path, work: Path) -> pd.DataFrame:
    """Shares of right answers: columns ``scheme``, ``what``, ``grid``, ``right``. ``rules``: by the name of the files
    of the answers, in ``work``, what a rule is called and its label. Native comes first; where it knows none of the
    forms, no other rule is asked.
    """
    loaded, shown = read(bed, parts, SIDE)
    things = shown.tokens[shown.shown[:GRIDS]]
    image = embedded(loaded.model, shown, SIDE)[:GRIDS]
    frames: list[pd.DataFrame] = []
    for key, (name, rule) in rules.items():
        if frames and not known(frames[0]):
            break
        with balanced(loaded.model, rule):
            logs = {
                form: kept(work / f"{key}-{form}.npy", partial(answers, loaded, image, things, form, name))
                for form in FORMS
            }
        its = (
            pd.DataFrame(right(logs)).rename_axis("grid").melt(ignore_index=False, var_name="what", value_name="right")
        )
        frames.append(its.reset_index().assign(scheme=name)[["scheme", "what", "grid", "right"]])
    return pd.concat(frames, ignore_index=True)


def answers(loaded: Any, image: Tensor, things: Tensor, form: str, name: str) -> Array:
    """Log-probabilities of what may follow each question of a ``form``, (pictures, 9, answers). ``image``: (pictures,
    tokens, width); ``things``: tokens of the names in its cells, (pictures, 9) long; ``name``: what the rule is called.
    """
    asked = [wordings(form, names) for names in called(loaded.processor, things)]
    read = things if form == "place" else torch.tensor(said(loaded.processor, form)).expand(len(things), -1)
    return told(loaded.model, loaded.processor, image, asked, read, f"{form} under {name}")


def said(processor: Any, form: str) -> list[int]:
    """The tokens of the three answers to a question about a row or a column."""
    return [processor.tokenizer.encode(f"the {one}", add_special_tokens=False)[-1] for one in LINES[form]]


def answered(logs: Array) -> Array:
    """Which line each question is answered with, (grids, 9); what is said of all things alike is taken off before.
    ``logs``: (grids, 9, 3).
    """
    found: Array = (logs - logs.mean((0, 1))).argmax(-1)
    return found


def right(logs: Mapping[str, Array], wanted: NDArray[np.int64] | None = None) -> dict[str, Array]:
    """Shares of right answers of every grid, (grids,), by what is asked. ``wanted``: the cell that is right about the
    thing in each cell, (9,); by default its own.
    """
    cell = np.arange(CELLS) if wanted is None else wanted
    row, column = answered(logs["row"]) == cell // 3, answered(logs["column"]) == cell % 3
    each = {"row": row, "column": column, "row and column": row & column}
    if "place" in logs:
        each["thing in a place"] = (logs["place"] - logs["place"].mean(1, keepdims=True)).argmax(-1) == cell
    return {what: its.mean(1) for what, its in each.items()}


def known(native: pd.DataFrame) -> list[str]:
    """What native positions give above chance, by the lower bound."""
    return [what for what, its in figures(native)["native"].items() if its["right"]["low"] > CHANCE[what]]


def figures(answers: pd.DataFrame, chances: Mapping[str, float] = CHANCE) -> dict[str, dict[str, Any]]:
    """By rule and by what is asked: the share of right answers and, of what is known natively, how much is kept.
    ``chances``: of a right answer, by what is asked.
    """
    table = answers.pivot(index="grid", columns=["scheme", "what"], values="right").astype(float)
    counts = np.random.default_rng(0).multinomial(len(table), np.full(len(table), 1 / len(table)), RESAMPLES)
    again = {name: counts @ table[name].to_numpy() / len(table) for name in table}
    value = {name: float(its.mean()) for name, its in table.items()}
    found: dict[str, dict[str, Any]] = {}
    for rule in dict.fromkeys(answers["scheme"]):
        for what, chance in chances.items():
            mine, native = (rule, what), ("native", what)
            its = found.setdefault(rule, {})[what] = {"right": estimate(value[mine], again[mine])}
            if rule != "native" and found["native"][what]["right"]["low"] > chance:
                its["kept"] = estimate(
                    (value[mine] - chance) / (value[native] - chance), (again[mine] - chance) / (again[native] - chance)
                )
    return found
