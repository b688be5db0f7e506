"""Answers with a planted truth, as arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import logit

from bapa.stats import clusters, rates
from bapa.stats.trials import Array, Trials

CELLS = 9
_POPULATION = 40_000  # items behind a true value


@dataclass(frozen=True)
class World:
    """What answers are drawn from. ``rates``: hit rate per cell of an item of average ease, for each scheme; ``alarm``:
    rate of yes to what is absent. Margins are logistic; an item is as easy under every scheme (``spread``: standard
    deviation of its ease, in logits). ``wordings`` of one question share most of their noise. ``groups``: items fall
    into so many classes, each with likes of its own for cells (standard deviation ``likes``); 0: items are on their
    own. ``shift``: added to all margins of a cell, to present and absent alike: a threshold of its own.
    """

    rates: tuple[float | tuple[float, ...], ...]
    items: int
    wordings: int = 1
    groups: int = 0
    spread: float = 1.0
    likes: float = 0.8
    alarm: float = 0.05
    shift: tuple[float, ...] = (0.0,) * CELLS

    def draw(self, rng: np.random.Generator) -> tuple[list[Trials], NDArray[np.int64]]:
        """The answers of each scheme, and the cluster of each item."""
        member = rng.permutation(np.arange(self.items) % self.groups) if self.groups else np.arange(self.items)
        likes = rng.normal(0, self.likes, (self.groups, CELLS))[member] if self.groups else 0.0
        ease = rng.normal(0, self.spread, (self.items, 1)) + likes
        found = []
        for rate in self.rates:
            centre = np.broadcast_to(logit(np.asarray(rate, float)), CELLS) + ease
            signal, noise = self._margins(centre, rng), self._margins(np.full_like(centre, logit(self.alarm)), rng)
            nothing = np.full_like(noise, np.nan)
            hits, alarms = (signal > 0).astype(float), (noise > 0).astype(float)
            found.append(Trials(hits, alarms, nothing, nothing, signal, noise, np.ones_like(noise)))
        return found, member

    def _margins(self, centre: Array, rng: np.random.Generator) -> Array:
        shared = 0.8 * rng.logistic(size=(*centre.shape, 1))
        centre = centre + np.array(self.shift)
        return np.asarray(centre[..., None] + shared + 0.6 * rng.logistic(size=(*centre.shape, self.wordings)))

    def frame(self, names: Sequence[str], rng: np.random.Generator) -> pd.DataFrame:
        """The answers as a run keeps them; the schemes are called ``names``."""
        found, member = self.draw(rng)
        item, cell, slot = (axis.ravel() for axis in np.mgrid[: self.items, :CELLS, : self.wordings])
        parts = []
        for name, scheme in zip(names, found, strict=True):
            for kind, margin in (("present", scheme.signal), ("lure", scheme.noise)):
                parts.append(
                    pd.DataFrame(
                        {
                            **{"item": item, "cell": cell, "question": [f"{kind}/{n}" for n in slot], "kind": kind},
                            **{"scheme": name, "margin": margin.ravel(), "mass": 1.0},
                            "correct": (margin.ravel() > 0) == (kind == "present"),
                            "group": [f"class {n}" for n in member[item]] if self.groups else "",
                        }
                    )
                )
        return pd.concat(parts, ignore_index=True)

    def truth(self) -> list[dict[str, Array]]:
        """For each scheme, by quantity, its value per cell, (cells,), and overall, (): from a large population. Cells
        of one planted rate have one value.
        """
        groups = _POPULATION // 10 if self.groups else 0
        large = replace(self, items=_POPULATION, groups=groups)
        found, _ = large.draw(np.random.default_rng(99))
        places = rates.predictors(3, 3)
        told = []
        for rate, scheme in zip(self.rates, found, strict=True):
            values = {n: v[0] for n, v in rates.rates(scheme, np.ones((1, _POPULATION)), places).items()}
            _, kind = np.unique(np.broadcast_to(np.asarray(rate, float), CELLS), return_inverse=True)
            for name in ("hit", "auc", "false_alarm", "d_prime"):
                level = np.bincount(kind, values[name]) / np.bincount(kind)
                values[name] = level[kind] if name != "false_alarm" else np.full(CELLS, values[name].mean())
            for name, x in places.items():
                values[f"slopes.{name}"] = np.polyfit(x, values["hit"], 1)[0]
            for name, ends in (("hit", ("range", "worst_cell")), ("auc", ("auc_range", "auc_worst_cell"))):
                values[f"overall.{ends[0]}"], values[f"overall.{ends[1]}"] = np.ptp(values[name]), values[name].min()
            values["overall.variance_corrected"] = values["hit"].var(ddof=1)
            told.append(values)
        return told


def over(member: NDArray[np.int64], by: str) -> clusters.Clusters:
    """The clusters of drawn items."""
    return clusters.Clusters(by, member, np.full(len(member), ""))


def steep(low: float, high: float) -> tuple[float, ...]:
    """Three rows, from ``low`` at the top to ``high`` at the bottom."""
    return tuple(float(x) for x in np.repeat(np.linspace(low, high, 3), 3))


def worlds(items: Sequence[int]) -> dict[str, World]:
    """The truths of the coverage table: a flat map, 20 points between the rows, and a ceiling."""
    kinds: dict[str, float | tuple[float, ...]] = {"flat": 0.7, "20 points": steep(0.56, 0.8), "ceiling": 0.985}
    return {f"{name}, {n} items": World((rate, rate), n) for n in items for name, rate in kinds.items()}


def shapes() -> dict[str, tuple[float, ...]]:
    """Maps of every shape that a range has: what stands out, and how near its neighbours come."""
    lows = {"one cell low": 1, "one row low": 3, "two plateaus": 4, "one cell high": 8}
    slopes = {"slope": (0.3, 0.9), "steep slope": (0.1, 0.97), "small slope": (0.5, 0.75)}
    return {
        "even": (0.65,) * CELLS,
        **{name: (0.4,) * low + (0.8,) * (CELLS - low) for name, low in lows.items()},
        "low in the middle": tuple((0.35 + 0.55 * abs(np.linspace(-1, 1, CELLS))).tolist()),
        **{name: tuple(np.linspace(*ends, CELLS).tolist()) for name, ends in slopes.items()},
    }


def shape_worlds() -> dict[str, World]:
    """Every shape by how many items there are, and by how much their ease differs, which makes cells go together."""
    settings = ((60, 1.0), (120, 1.0), (200, 1.0), (60, 0.0))
    return {
        f"{name}, {items} items, ease {spread:g}": World((rates,), items, spread=spread)
        for name, rates in shapes().items()
        for items, spread in settings
    }
