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

from bapa.errors import RunError
from bapa.stats.trials import Trials

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


def null_arm(native: Trials, null: Trials) -> dict[str, Any]:
    """``answers`` given under both schemes, how many ``flips`` there are between right and wrong, and the
    ``largest_margin_difference`` (None where there are no margins).
    """
    pairs = [(native.hits, null.hits), (native.alarms, null.alarms)]
    both = [np.isfinite(a) & np.isfinite(b) for a, b in pairs]
    margins = [abs(a - b) for a, b in ((native.signal, null.signal), (native.noise, null.noise))]
    moved = np.concatenate([m[np.isfinite(m)] for m in margins])
    return {
        "answers": int(sum(there.sum() for there in both)),
        "flips": int(sum((a != b)[there].sum() for (a, b), there in zip(pairs, both, strict=True))),
        "largest_margin_difference": float(moved.max()) if len(moved) else None,
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
