"""Models whose image tokens carry places are taught where things stand, and asked under every rule: PLAN.md."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from bapa.attach import balanced
from bapa.calibrate.words.reader import CELLS
from bapa.files import read_json
from bapa.schemes import parse
from bapa.schemes.shares import brief
from studies.aligned.ask import ALIGNED, Reader
from studies.coded.codes import codes
from studies.coded.fit import FITS, WAYS
from studies.fitted import places
from studies.fitted.places import LINES
from studies.pretrained.build import GRID
from studies.taught.ask import PLACED, RULES, taught
from studies.taught.fit import fits
from studies.taught.lessons import BOX, LEFTS, Subject, digits, pointing
from studies.words.ask import Array, frames_of, kept
from studies.words.neighbours import told

FORMS = (*LINES, BOX)  # what is taught
CHANCE = {**places.CHANCE, "box": 1 / 9}
OWN = np.arange(CELLS)
CODED = np.roll(OWN.reshape(3, 3), (1, 1), (0, 1)).flatten()  # the cell that moved codes tell, by where a thing stands
Tables = tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]  # shares of names, right answers about places, whose place


@dataclass(frozen=True)
class Asks:
    """``rules``: that models are asked under, by what they are called; ``moved``: those they are asked under too with
    the codes of another place.
    """

    rules: Sequence[str] = ()
    moved: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True)
class Arm(Asks):
    """Models taught with the positions of a ``scheme``."""

    scheme: Literal["native", "bapa"]


LABELS: Mapping[str, str] = {  # by what rules are called, native first
    **{name: RULES[name] for name in ("native", "bapa", "blend", "cross")},
    "cross of reverse": parse("reverse:pairs=cross").label,
}
ALL = (*LABELS, *WAYS)
NATIVELY, UNDER = "natively", "under bapa"
ARMS: Mapping[str, Arm] = {
    NATIVELY: Arm(scheme="native", rules=ALL, moved=("native", "bapa")),
    UNDER: Arm(scheme="bapa"),
}


def ask(parts: Path, work: Path, seeds: Sequence[int]) -> Tables:
    """Teach and ask what ``work`` lacks; each answer is kept as it ends. ``work`` lies beside the folder ``aligned``.

    Of the arm taught natively: columns ``seed``, ``rule``, ``wording``, ``picture``, ``cell``, ``share``; ``seed``,
    ``rule``, ``what``, ``picture``, ``right``; and the same with ``of``: right of the place where the thing stands or
    of that which its tokens' codes tell.
    """
    names, where, whose = (table.drop(columns="arm") for table in every(parts, work, seeds, ARMS, LABELS, pupil))
    return names, where, whose


def every(
    parts: Path,
    work: Path,
    seeds: Sequence[int],
    arms: Mapping[str, Asks],
    labels: Mapping[str, str],
    model: Callable[[Reader, Path, int, str], Reader],
) -> Tables:
    """What the models of all ``arms`` answer, with columns ``seed``, ``arm`` and ``rule``. ``labels``: of the rules
    that were not fitted to each model. ``model``: from the untaught one, ``work``, the seed and the name of the arm.
    """
    work.mkdir(parents=True, exist_ok=True)
    each = []
    for seed in seeds:
        untaught = Reader.of(ALIGNED, parts, work.parent / "aligned", seed)
        image = cache(untaught.image)  # the encoder and the projector stay as they are
        for name, arm in arms.items():
            reader = model(untaught, work, seed, name)
            for rule in arm.rules:
                path, about = work / f"{name}-{seed}-{rule}", {"seed": seed, "arm": name, "rule": rule}
                label = labels.get(rule) or fits(FITS)[str(seed)][rule]
                each.append(asked(reader, image, path, label, rule in arm.moved, about))
    names, where, whose = (pd.concat(one, ignore_index=True) for one in zip(*each, strict=True))
    return names, where, whose


def learned(work: Path, arms: Iterable[str]) -> dict[str, list[dict[str, float]]]:
    """By arm and seed how much of what was tried while it was taught was right."""
    curves = {path.stem: read_json(path)["tried"] for path in sorted(work.glob("*.json"))}
    return {name: tried for name, tried in curves.items() if name.rpartition("-")[0] in arms}


def pupil(untaught: Reader, work: Path, seed: int, name: str) -> Reader:
    """The model of the arm of this ``name``, taught where it is missing."""
    subject = Subject(FORMS, ARMS[name].scheme, codes(untaught.named))
    return taught(untaught, work / f"{name}-{seed}", seed, subject)


def asked(
    reader: Reader,
    image: Callable[[], Tensor],
    path: Path,
    label: str,
    whose: bool,
    about: Mapping[str, object],
) -> Tables:
    """What a model answers under the rule of this ``label``, kept beside ``path``. ``image``: what its language model
    would get without codes; ``whose``: whether it is asked with moved codes too; ``about``: columns of the tables.
    """
    added = codes(reader.named)
    coded, moved = partial(_with, image, added), partial(_with, image, rolled(added))
    where = _table(right(_placed(reader, coded, label, path, (*FORMS, "place"))))
    others = [pd.DataFrame()]
    if whose:
        told = _placed(reader, moved, label, path.with_name(f"{path.name}-moved"), FORMS)
        others = [_table(right(told, cell)).assign(of=of) for of, cell in (("stands", None), ("coded", CODED))]
    names = frames_of(kept(path.with_name(f"{path.name}.npy"), partial(_names, reader, coded, label)), _shown(reader))
    shares, right_or_not, of = (pd.concat(one, ignore_index=True).assign(**about) for one in (names, [where], others))
    return shares, right_or_not, of


def rolled(added: Tensor) -> Tensor:
    """Codes, (81, width), each moved one cell down and to the right, round the edge."""
    return added.view(GRID, GRID, -1).roll((GRID // 3, GRID // 3), (0, 1)).flatten(0, 1)


def _shown(reader: Reader) -> NDArray[np.int64]:
    found: NDArray[np.int64] = reader.shown.numpy()
    return found


def _with(plain: Callable[[], Tensor], added: Tensor) -> Tensor:
    return plain() + added


def _names(reader: Reader, image: Callable[[], Tensor], label: str) -> Array:
    return reader.names(image(), label)


def _placed(
    reader: Reader, image: Callable[[], Tensor], label: str, path: Path, forms: Sequence[str]
) -> dict[str, Array]:
    """By form the log-probabilities of what may follow, (pictures, questions, answers); kept beside ``path``."""
    ask = {form: partial(_boxes if form == BOX else _places, reader, image, label, form) for form in forms}
    return {form: kept(path.with_name(f"{path.name}-{form}.npy"), one) for form, one in ask.items()}


def _places(reader: Reader, image: Callable[[], Tensor], label: str, form: str) -> Array:
    things = reader.named.token[reader.shown[:PLACED]]
    with balanced(reader.loaded.model, label):
        return places.answers(reader.loaded, image()[:PLACED], things, form, brief(label))


def _boxes(reader: Reader, image: Callable[[], Tensor], label: str, form: str) -> Array:
    """Log-probabilities of the digits that sides of boxes begin with, (pictures, 9 things x 4, 3): of the left one, and
    of the top one behind each left one.
    """
    processor, captions = reader.loaded.processor, reader.bench.asker.captions
    asked = []
    for things in reader.drawn.thing[:PLACED].tolist():
        questions = [pointing(captions[thing]) for thing in things]
        asked.append([(one, f"{begun}{left}") for one, begun in questions for left in ("", *LEFTS)])
    read = torch.tensor(digits(processor)).expand(PLACED, -1)
    with balanced(reader.loaded.model, label):
        return told(reader.loaded.model, processor, image()[:PLACED], asked, read, f"{form} under {brief(label)}")


def right(logs: Mapping[str, Array], wanted: NDArray[np.int64] | None = None) -> dict[str, Array]:
    """Shares of right answers of every picture, (pictures,), by what is asked. ``wanted``: the cell that is right about
    the thing in each cell, (9,); by default its own.
    """
    sides = logs[BOX].reshape(len(logs[BOX]), CELLS, 1 + len(LEFTS), len(LEFTS))
    told = (sides - sides.mean((0, 1))).argmax(-1)
    left = told[:, :, 0]
    top = np.take_along_axis(told[:, :, 1:], left[..., None], 2)[..., 0]
    return {**places.right(logs, wanted), BOX: (3 * top + left == (OWN if wanted is None else wanted)).mean(1)}


def _table(shares: Mapping[str, Array]) -> pd.DataFrame:
    table = pd.DataFrame(shares).rename_axis("picture")
    return table.melt(ignore_index=False, var_name="what", value_name="right").reset_index()
