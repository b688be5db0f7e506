"""Models taught rows and columns, and what they answer afterwards: PLAN.md."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache, partial
from pathlib import Path

import pandas as pd
import torch
from torch import Tensor

from bapa.attach import balanced
from bapa.checkpoints import load
from bapa.files import read_json
from bapa.schemes import parse
from bapa.schemes.shares import brief
from studies.aligned.ask import ALIGNED, Reader
from studies.fitted import run as fitted
from studies.fitted.ask import FITTED
from studies.fitted.places import FORMS, answers, right
from studies.taught.fit import WAYS, fit, fits
from studies.taught.lessons import Subject
from studies.where.rules import BLEND
from studies.words.ask import CANDIDATES, Array, frames_of, kept

PLACED = 45  # pictures about places
_RULES = read_json(fitted.RULES)["SmolLM2"]
FITS = Path(__file__).parent / "rules.json"  # by seed and way, labels
UNTAUGHT, TAUGHT = "untaught", "taught"
RULES: Mapping[str, str] = {  # what they are called and their labels, native first
    "native": "native",
    "bapa": "bapa",
    "blend": CANDIDATES[0],
    "cross": CANDIDATES[2],
    **{FITTED[seen]: _RULES[seen] for seen in FITTED},
    # The last two were added when the others had been seen on two of three models.
    "text to image": parse(BLEND).label,
    "half of cross": parse("bapa:pairs=cross,blend=0.5").label,
}
ALL = (*RULES, *WAYS)
ASKED: Mapping[str, Sequence[str]] = {UNTAUGHT: ("native",), TAUGHT: ALL}  # rules, by model
Tables = tuple[pd.DataFrame, pd.DataFrame]  # shares of names, right answers about places


def ask(parts: Path, work: Path, seeds: Sequence[int]) -> Tables:
    """Teach and ask what ``work`` lacks; each answer is kept as it ends. ``work`` lies beside the folder ``aligned``.

    Columns ``seed``, ``rule``, ``wording``, ``picture``, ``cell``, ``share`` of the models taught; and ``seed``,
    ``model``, ``rule``, ``what``, ``picture``, ``right``.
    """
    work.mkdir(parents=True, exist_ok=True)
    maps: list[pd.DataFrame] = []
    placed: list[pd.DataFrame] = []
    for seed in seeds:
        untaught = Reader.of(ALIGNED, parts, work.parent / "aligned", seed)
        image = cache(untaught.image)  # the encoder and the projector stay as they are
        for model, rules in ASKED.items():
            reader = untaught if model == UNTAUGHT else taught(untaught, work / f"taught-{seed}", seed)
            for rule in rules:
                path, label = work / f"{model}-{seed}-{rule}", RULES.get(rule) or fits(FITS)[str(seed)][rule]
                if model == TAUGHT:
                    logs = kept(path.with_name(f"{path.name}.npy"), partial(_names, reader, image, label))
                    maps += [frame.assign(seed=seed, rule=rule) for frame in frames_of(logs, reader.shown.numpy())]
                found = {
                    form: kept(path.with_name(f"{path.name}-{form}.npy"), partial(_places, reader, image, label, form))
                    for form in FORMS
                }
                table = pd.DataFrame(right(found)).rename_axis("picture")
                table = table.melt(ignore_index=False, var_name="what", value_name="right").reset_index()
                placed.append(table.assign(seed=seed, model=model, rule=rule))
    return pd.concat(maps, ignore_index=True), pd.concat(placed, ignore_index=True)


def fitted_to(parts: Path, work: Path, way: str, seed: int) -> str:
    """The label of the rule fitted in this ``way`` to the model of ``seed``, taught where it is missing."""
    untaught = Reader.of(ALIGNED, parts, work.parent / "aligned", seed)
    return fit(
        taught(untaught, work / f"taught-{seed}", seed), WAYS[way], seed, work / f"shares-{seed}-{way}.safetensors"
    )


def _names(reader: Reader, image: Callable[[], Tensor], label: str) -> Array:
    return reader.names(image(), label)


def _places(reader: Reader, image: Callable[[], Tensor], label: str, form: str) -> Array:
    """Log-probabilities of what may follow, (pictures, 9 questions, answers)."""
    things = reader.named.token[reader.shown[:PLACED]]
    with balanced(reader.loaded.model, label):
        return answers(reader.loaded, image()[:PLACED], things, form, brief(label))


def taught(untaught: Reader, home: Path, seed: int, subject: Subject | None = None) -> Reader:
    """The model taught a ``subject``, rows and columns by default, in ``home``; taught where it is missing."""
    from studies.taught.learn import teach  # takes long to import

    teach(untaught, home, seed, subject)
    return replace(untaught, loaded=load(str(home), device="cpu", dtype=torch.float32))
