"""How much of the cell-to-cell spread goes with each factor.

The answers to all moves are fitted by a sum of three effects: of the cell in which the encoder saw the target, of its
slot in the order, of the position it got (:mod:`bapa.origin.moves`). With ``m`` the native map over the cells and ``f``
one effect, the factor carries the share cov(f, m) / var(m) of the spread; the three shares and a remainder (what the
effects do together rather than in sum) make one. Each product pairs an estimate from one half of the clusters
(:mod:`bapa.stats.clusters`) with one from the other half, averaged over several halvings: noise is independent between
halves, so that sampling adds nothing to the variance on average, and an unbiased model has none. Intervals: bootstrap
over clusters.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bapa.origin.moves import Condition, torn
from bapa.origin.verdict import FACTORS
from bapa.stats import clusters as units
from bapa.stats import intervals, rates, trials
from bapa.stats.bias import Settings
from bapa.stats.clusters import Cluster, Clusters
from bapa.stats.extremes import halvings
from bapa.stats.intervals import Estimate
from bapa.stats.significance import Test, place_test
from bapa.stats.trials import Array, Trials

SHARES = (*FACTORS, "language_model", "remainder")
SPLITS = 8  # random halvings of the clusters
Key = TypeVar("Key")


@dataclass(frozen=True)
class Answers:
    """What all conditions got, on the same items. ``trials``: by label. ``items``: their numbers, (items,). ``over``:
    what counts as one observation among them.
    """

    trials: Mapping[str, Trials]
    items: NDArray[np.int64]
    over: Clusters
    conditions: Sequence[Condition]
    draws: int
    factors: tuple[str, ...] = ("encoder", "order", "position")  # what the places that a move tears apart are called

    @classmethod
    def read(
        cls,
        answers: pd.DataFrame,
        cells: int,
        conditions: Sequence[Condition],
        draws: int,
        by: Cluster = "auto",
    ) -> Answers:
        """From rows as in ``answers.parquet``, conditions standing in the column ``scheme``. ``by``: as for
        :func:`bapa.stats.clusters.clusters`.
        """
        found = trials.read(answers, cells)
        there = [condition for condition in conditions if condition.label in found]
        items = pd.factorize(answers["item"])[1].to_numpy()
        return cls(found, items, units.clusters(answers, by), there, draws)

    @property
    def cells(self) -> int:
        """Number of cells."""
        return self.trials["native"].cells

    def response(self, quantity: str, label: str) -> Array:
        """``hit`` or ``margin`` of the questions about what is there: (items, cells), NaN where none was answered."""
        values = self.trials[label].hits if quantity == "hit" else self.trials[label].signal
        there = np.isfinite(values)
        return rates.ratio(np.where(there, values, 0).sum(-1), there.sum(-1).astype(float))

    def differ(self, quantity: str, seed: int) -> Test:
        """Whether the native cells differ in ``hit`` or ``margin``."""
        native = self.trials["native"]
        return place_test(native.hits if quantity == "hit" else native.signal, seed, self.over.of)

    def relabelled(self, turns: int) -> Answers:
        """The control that keeps the spread: the same answers, with the factors called by each other's names. Whatever
        is found must follow the names.
        """
        return replace(self, factors=(*self.factors[turns:], *self.factors[:turns]))

    def shuffled(self, rng: np.random.Generator) -> Answers:
        """The control: within every cluster and condition, the cells change places at random."""
        mixed = {}
        for label, one in self.trials.items():
            orders = rng.permuted(np.tile(np.arange(self.cells), (self.over.count, 1)), axis=1)
            order = orders[self.over.of, :, None]
            mixed[label] = Trials(**{name: np.take_along_axis(values, order, 1) for name, values in vars(one).items()})
        return replace(self, trials=mixed)


def shares(answers: Answers, quantity: str, moved: str, settings: Settings) -> dict[str, Estimate]:
    """Of one quantity: ``variance`` of the native map over the cells, and the share of each of :data:`SHARES`.

    ``moved``: the move that tells the encoder apart, ``features`` or ``patch``. Empty where there were no moves.
    """
    kinds = ("none", moved, "positions", "order")
    used = [c for c in answers.conditions if c.move in kinds and c.scheme == "native"]
    if {c.move for c in used} != set(kinds):
        return {}
    fit = _Fit(answers, quantity, used)

    def statistic(weights: Array) -> dict[str, Array]:
        variance, carried = np.zeros(len(weights)), np.zeros((len(weights), len(FACTORS)))
        for half in _halves(fit.clusters):
            one, two = fit.effects(weights * half), fit.effects(weights * ~half)
            variance += (one[0] * two[0]).sum(-1)
            for number in range(len(FACTORS)):
                carried[:, number] += ((one[number + 1] * two[0]) + (two[number + 1] * one[0])).sum(-1) / 2
        share = carried / np.where(variance > 0, variance, np.nan)[:, None]
        named = dict(zip(FACTORS, share.T, strict=True))
        return {
            "variance": variance / SPLITS / (answers.cells - 1),
            **named,
            "language_model": named["order"] + named["position"],
            "remainder": 1 - share.sum(-1),
        }

    return _estimates(statistic, fit.clusters, settings)


def left_by_rules(answers: Answers, quantity: str, settings: Settings) -> dict[str, dict[str, Estimate]]:
    """For each position rule and mask, how the native map changes.

    ``left``: variance over the cells, as a share of the native one; ``same``: the native map's share in the map under
    the rule (1: the cells keep their places); ``mirrored``: the same with the native map turned around, last cell
    first; ``auc``: how well present and absent are told apart; ``hit``: mean hit rate.
    """
    rules = [c.label for c in answers.conditions if c.move == "none"]
    maps = {label: answers.response(quantity, label) for label in rules}
    there = np.flatnonzero(np.isfinite(np.stack(list(maps.values()))).all((0, 2)))
    maps = {label: values[there] for label, values in maps.items()}
    clusters, asked = _renumbered(answers.over.of[there]), answers.trials["native"].items

    def statistic(weights: Array) -> dict[tuple[str, str], Array]:
        products: dict[tuple[str, str], Array] = {}
        for half in _halves(clusters):
            parts = [{k: _centred(_mean(v, w)) for k, v in maps.items()} for w in (weights * half, weights * ~half)]
            for label in rules:
                for name, other, turn in (("left", label, 1), ("same", "native", 1), ("mirrored", "native", -1)):
                    cross = sum((one[label] * two[other][:, ::turn]).sum(-1) for one, two in (parts, parts[::-1])) / 2
                    products[label, name] = products.get((label, name), 0) + cross
        native = products["native", "left"]
        found = {key: value / np.where(native > 0, native, np.nan) for key, value in products.items()}
        whole = np.zeros((len(weights), asked))
        whole[:, there] = weights
        for label in rules:
            one = answers.trials[label]
            found[label, "auc"] = rates.average(rates.auc(one.signal, one.noise, whole))
            found[label, "hit"] = rates.average(rates.mean(one.hits, whole))
        return found

    flat = _estimates(statistic, clusters, settings)
    return {label: {name: flat[label, name] for name in ("left", "same", "mirrored", "auc", "hit")} for label in rules}


def follows(told: Mapping[str, Estimate], turned: Mapping[str, Estimate], turns: int) -> bool:
    """Whether shares of relabelled answers are those of the answers themselves, under the new names."""
    if not told or not turned or told["variance"]["value"] is None:
        return not told and not turned
    names = (*FACTORS[turns:], *FACTORS[:turns])
    pairs = [(told[name]["value"], turned[own]["value"]) for own, name in zip(FACTORS, names, strict=True)]
    return all(one is not None and two is not None and abs(one - two) < 1e-6 for one, two in pairs)


def penalties(answers: Answers, settings: Settings) -> dict[str, dict[str, Estimate]]:
    """What moving alone costs, by move: the change of the margin when the target's tokens are exchanged in one respect
    between cells that answer alike natively (their margins differ by less than a quarter of the map's range), as a
    ``share`` of the gap between present and absent. Of effects that add up it is zero.
    """
    native = answers.response("margin", "native")
    level = np.nanmean(native, 0)
    alike = np.abs(level[:, None] - level) <= np.ptp(level) / 4
    noise = answers.trials["native"].noise
    gap = float(np.nanmean(native) - np.nanmean(noise)) if np.isfinite(noise).any() else np.nan
    found: dict[str, dict[str, Estimate]] = {}
    for move in dict.fromkeys(condition.move for condition in answers.conditions if condition.move != "none"):
        changes, counts = np.zeros(len(native)), np.zeros(len(native))
        for condition in answers.conditions:
            if condition.move != move:
                continue
            place = torn(move, answers.items, condition.draw, answers.draws, answers.cells)
            other = place["encoder"] if move == "patch" else place["position"] if move != "order" else place["order"]
            change = answers.response("margin", condition.label) - native
            there = alike[np.arange(answers.cells), other] & np.isfinite(change)
            changes += np.where(there, change, 0).sum(1)
            counts += there.sum(1)

        def share(weights: Array, changes: Array = changes, counts: Array = counts) -> dict[str, Array]:
            return {"share": rates.ratio(weights @ changes, weights @ counts) / gap}

        sample = intervals.jackknife(share, answers.over.of)
        found[move] = {"share": intervals.mean(sample.values["share"], sample.errors["share"], settings.level)}
    return found


def materiality(answers: Answers) -> float:
    """Standard deviation of the native margin over the cells, over the gap between what is there and what is not."""
    native = answers.trials["native"]
    gap = float(np.nanmean(native.signal) - np.nanmean(native.noise)) if np.isfinite(native.noise).any() else np.nan
    return float(np.nanmean(native.signal, (0, 2)).std(ddof=1) / gap) if gap > 0 else np.inf


class _Fit:
    """Least squares per resample, from sums per item."""

    def __init__(self, answers: Answers, quantity: str, used: Sequence[Condition]) -> None:
        cells = answers.cells
        responses = np.stack([answers.response(quantity, c.label) for c in used])  # (conditions, items, cells)
        there = np.isfinite(responses).all((0, 2))
        self.items = int(there.sum())
        self.clusters = _renumbered(answers.over.of[there])
        self.native = responses[[c.move for c in used].index("none")][there]
        self.contrasts = _contrasts(cells)
        width = cells - 1
        self.width = width
        rows = []
        for condition in used:
            place = torn(condition.move, answers.items[there], condition.draw, answers.draws, cells)
            rows.append(np.concatenate([self.contrasts[place[factor]] for factor in answers.factors], -1))
        design = np.stack(rows)  # (conditions, items, cells, 3 (cells - 1))
        target = responses[:, there]
        # An item meets every cell equally often on every factor, so how easy it is falls out of the products.
        target = target - target.mean((0, 2), keepdims=True)
        self.right = np.einsum("cikf,cik->if", design, target)
        self.left = np.einsum("cikf,cikg->ifg", design, design, optimize=True).reshape(self.items, -1)

    def effects(self, weights: Array) -> list[Array]:
        """The native map and the effect of each factor over the cells, centred: (resamples, cells) each."""
        size = len(FACTORS) * self.width
        left = (weights @ self.left).reshape(-1, size, size)
        ridge = 1e-9 * left.trace(axis1=1, axis2=2)[:, None, None] + 1e-12  # for halves that miss a combination
        found = np.linalg.solve(left + ridge * np.eye(size), (weights @ self.right)[..., None])[..., 0]
        parts = found.reshape(len(weights), len(FACTORS), self.width) @ self.contrasts.T
        return [_centred(_mean(self.native, weights)), *parts.transpose(1, 0, 2)]


def _contrasts(cells: int) -> Array:
    """An orthonormal basis of what differs between cells: (cells, cells - 1)."""
    centred = np.eye(cells)[:, 1:] - 1 / cells
    return np.linalg.qr(centred)[0]


def _halves(clusters: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Items of the first half, (halvings, items); the same for every quantity, so that they can be compared."""
    return halvings(clusters)[:SPLITS]


def _renumbered(clusters: NDArray[np.int64]) -> NDArray[np.int64]:
    """Those of some items, from 0 on again."""
    return np.unique(clusters, return_inverse=True)[1]


def _mean(values: Array, weights: Array) -> Array:
    return weights @ values / np.maximum(weights.sum(-1, keepdims=True), 1e-12)


def _centred(values: Array) -> Array:
    return values - values.mean(-1, keepdims=True)


def _estimates(
    statistic: Callable[[Array], Mapping[Key, Array]], clusters: NDArray[np.int64], settings: Settings
) -> dict[Key, Estimate]:
    return intervals.bootstrap(
        statistic,
        len(clusters),
        resamples=settings.resamples,
        level=settings.level,
        seed=settings.seed,
        clusters=clusters,
    )
