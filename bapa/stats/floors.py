"""Noise floors: how far figures move where nothing that matters was changed.

Of the arithmetic: the null scheme moves all positions by one constant, which a rotary model cannot see. Of training:
models that differ in nothing but their seed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd

from bapa.errors import RunError

NULL = "null"  # the scheme that moves all positions by one constant


class Measured(Protocol):
    """A finished run: where it is, and what its ``bias.json`` holds."""

    @property
    def path(self) -> Path: ...
    @property
    def bias(self) -> Mapping[str, Any]: ...


def is_null(label: str) -> bool:
    """Whether a scheme is the control that moves all positions alike."""
    return label.partition(":")[0] == NULL


def null_arms(answers: pd.DataFrame) -> dict[str, dict[str, Any]]:
    """By null scheme, how it differs from native: ``answers`` given under both, how many ``flips`` there are between
    right and wrong, and the ``largest_margin_difference`` (None where there are no margins). All questions count, also
    those that no rate is made of.

    ``answers``: columns item, cell, question, scheme, correct and margin; empty without native or a null scheme.
    """
    native = _given(answers, "native")
    labels = [label for label in dict.fromkeys(answers["scheme"]) if is_null(label)] if len(native) else []
    return {label: _moved(native, _given(answers, label)) for label in labels}


def _given(answers: pd.DataFrame, label: str) -> pd.DataFrame:
    """What was answered under one scheme, by item, cell and question: ``correct`` and ``margin``, float64."""
    its = answers[answers["scheme"] == label].set_index(["item", "cell", "question"])
    return its[["correct", "margin"]].astype("float64")


def _moved(native: pd.DataFrame, null: pd.DataFrame) -> dict[str, Any]:
    change = (null - native).abs()  # not a number where one of the two has no answer
    margins = change["margin"][np.isfinite(change["margin"])]
    return {
        "answers": int(change["correct"].notna().sum()),
        "flips": int((change["correct"] > 0).sum()),
        "largest_margin_difference": float(margins.max()) if len(margins) else None,
    }


@dataclass(frozen=True)
class Spread:
    """A figure over seeds: its ``values``, one a seed, fractions."""

    values: tuple[float, ...]

    @property
    def low(self) -> float:
        return min(self.values)

    @property
    def high(self) -> float:
        return max(self.values)

    @property
    def sd(self) -> float:
        """Standard deviation of one seed, estimated with n - 1."""
        return float(np.std(self.values, ddof=1))


@dataclass(frozen=True)
class SeedNoise:
    """The spread over models trained with other seeds.

    ``runs``: names of their runs. ``overall``: scheme -> quantity -> spread. ``differences``: (scheme a, scheme b,
    quantity) -> spread of ``b - a``.
    """

    runs: tuple[str, ...]
    overall: Mapping[str, Mapping[str, Spread]]
    differences: Mapping[tuple[str, str, str], Spread]


def seed_noise(runs: Sequence[Measured]) -> SeedNoise:
    """The seed-to-seed noise of the schemes that all ``runs`` have.

    Raises RunError where the runs are not of different models on one probe, or share no scheme.
    """
    first = runs[0]
    if len(runs) < 2:
        raise RunError(f"{first.path} alone has no spread over seeds; name a run of another seed: --noise-floor RUN")
    for run in runs[1:]:
        for what in ("fingerprint", "items"):
            here, there = first.bias["probe"][what], run.bias["probe"][what]
            if here != there:
                raise RunError(
                    f"{run.path} and {first.path} are runs of other probes ({what} {there} and {here}); "
                    "seeds are compared on the same items"
                )
    weights = [run.bias["model"]["fingerprint"] for run in runs]
    for place, weight in enumerate(weights):
        if weight in weights[:place]:
            raise RunError(
                f"{runs[place].path} and {runs[weights.index(weight)].path} are runs of the same weights; "
                "the noise floor needs models trained with other seeds"
            )
    shared = [label for label in first.bias["schemes"] if all(label in run.bias["schemes"] for run in runs)]
    if not shared:
        raise RunError(f"{', '.join(str(run.path) for run in runs)} share no scheme; measure them under the same ones")
    return SeedNoise(
        tuple(f"{run.bias['model']['name']} ({run.path.name})" for run in runs),
        {label: _overall([run.bias["schemes"][label]["overall"] for run in runs]) for label in shared},
        _differences([run.bias["comparisons"] for run in runs]),
    )


def _overall(figures: Sequence[Mapping[str, Any]]) -> dict[str, Spread]:
    return _spreads([{name: estimate["value"] for name, estimate in each.items()} for each in figures])


def _differences(comparisons: Sequence[Sequence[Mapping[str, Any]]]) -> dict[tuple[str, str, str], Spread]:
    return _spreads(
        [
            {(row["a"], row["b"], row["quantity"]): row["difference"]["value"] for row in rows if "cell" not in row}
            for rows in comparisons
        ]
    )


def _spreads(seeds: Sequence[Mapping[Any, float | None]]) -> dict[Any, Spread]:
    """Of what every seed has a value for."""
    found = {}
    for key in seeds[0]:
        values = [value for seed in seeds if (value := seed.get(key)) is not None]
        if len(values) == len(seeds):
            found[key] = Spread(tuple(values))
    return found
