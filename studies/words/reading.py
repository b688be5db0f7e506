"""From the shares of the words study to the endpoints of PLAN.md. The picture is the unit."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from studies.words.ask import RULES, WORDINGS

HALVINGS, RESAMPLES, IN_EACH, SHUFFLES = 64, 2000, 8, 2000
Array = NDArray[np.float64]
Maps = Mapping[str, Array]  # by rule: the shares of every picture and cell, (pictures, 9)


@dataclass(frozen=True)
class Halves:
    """Weights of the pictures on either side of every halving, (n, pictures) each; a picture is on one side only."""

    one: Array
    two: Array

    @classmethod
    def draw(cls, counts: Array, halvings: int, seed: int) -> Halves:
        """``halvings`` of each row of ``counts``, (samples, pictures): how often a sample holds each picture."""
        rng = np.random.default_rng(seed)
        many = np.repeat(counts, halvings, 0)
        order = rng.permuted(np.tile(np.arange(many.shape[1]), (len(many), 1)), axis=1)
        first = order < many.shape[1] // 2
        return cls(many * first, many * ~first)

    def ways(self, *of: Array) -> list[tuple[list[Array], list[Array]]]:
        """Maps of the halves, (n, cells) each: of the half that picks and the half that judges, both ways."""
        one, two = ([weights @ its / weights.sum(1, keepdims=True) for its in of] for weights in (self.one, self.two))
        return [(one, two), (two, one)]


def spread(halves: Halves, shares: Array) -> Array:
    """Range over cells and AUC of the worst cell of every halving, (n, 2): picked on one half, judged on the other."""
    found = []
    for (pick,), (judge,) in halves.ways(shares):
        low = np.take_along_axis(judge, pick.argmin(1)[:, None], 1)[:, 0]
        high = np.take_along_axis(judge, pick.argmax(1)[:, None], 1)[:, 0]
        found.append(np.stack([high - low, low], 1))
    result: Array = np.mean(found, 0)
    return result


def averaged(rows: pd.DataFrame) -> Array:
    """The shares of every picture and cell over the wordings, (pictures, 9)."""
    found: Array = rows.pivot_table(index="picture", columns="cell", values="share", aggfunc="mean").to_numpy(float)
    return found


def turned(shares: Array) -> Array:
    """The part that changes its sign when the grid is turned by 180 degrees."""
    result: Array = (shares - shares[..., ::-1]) / 2
    return result


def position_share(halves: Halves, native: Array, other: Array, samples: int) -> Array:
    """1 where the map under a rule that reverses positions turns with them, 0 where it stays; (samples,)."""
    moved, stayed = np.zeros(samples), np.zeros(samples)
    for (first, _), (second, reversed_) in halves.ways(turned(native), turned(other)):
        moved += (reversed_ * first).sum(1).reshape(samples, -1).sum(1)
        stayed += (second * first).sum(1).reshape(samples, -1).sum(1)
    result: Array = (1 - moved / stayed) / 2
    return result


def turning_part(halves: Halves, native: Array) -> float:
    """What part of the spread of the map changes its sign when the grid is turned."""
    centred = native - native.mean(1, keepdims=True)
    products = [
        [(one * two).sum() for one, two in zip(first, second, strict=True)]
        for first, second in halves.ways(turned(centred), centred)
    ]
    part, whole = np.sum(products, 0)
    return float(part / whole)


def p_uneven(shares: Array, seed: int = 0) -> float:
    """p of the variance of the map, against that with the cells of each picture shuffled."""
    rng = np.random.default_rng(seed)
    null = [rng.permuted(shares, axis=1).mean(0).var() for _ in range(SHUFFLES)]
    return (1 + int(np.sum(np.array(null) >= shares.mean(0).var()))) / (1 + SHUFFLES)


def p_turning(shares: Array, seed: int = 0) -> float:
    """p of the length of the turning part, against signs flipped at random, picture by picture."""
    rng = np.random.default_rng(seed)
    parts = turned(shares)
    signs = rng.choice([-1.0, 1.0], (SHUFFLES, len(parts)))
    null = ((signs @ parts / len(parts)) ** 2).sum(1)
    return (1 + int(np.sum(null >= (parts.mean(0) ** 2).sum()))) / (1 + SHUFFLES)


def estimate(value: float, again: Array) -> dict[str, float]:
    """A figure with the 2.5th and 97.5th centile of what samples of the pictures give."""
    low, high = np.quantile(again, (0.025, 0.975))
    return {"value": round(float(value), 4), "low": round(float(low), 4), "high": round(float(high), 4)}


def figures(maps: Maps) -> dict[str, Any]:
    """All endpoints of one set of maps."""
    pictures = len(maps["native"])
    rng = np.random.default_rng(0)
    whole = Halves.draw(np.ones((1, pictures)), HALVINGS, 1)
    counts = rng.multinomial(pictures, np.full(pictures, 1 / pictures), RESAMPLES).astype(float)
    resampled = Halves.draw(counts, IN_EACH, 2)

    def over(of: Callable[[Halves, Array], Array], shares: Array) -> tuple[Array, Array]:
        return of(whole, shares).mean(0), of(resampled, shares).reshape(RESAMPLES, IN_EACH, -1).mean(1)

    rules: dict[str, Any] = {}
    before: tuple[Array, Array, Array, Array] | None = None
    for rule, shares in maps.items():
        value, again = over(spread, shares)
        mean, means = shares.mean(), (counts @ shares.mean(1)) / pictures
        its: dict[str, Any] = {"range": estimate(value[0], again[:, 0]), "worst": estimate(value[1], again[:, 1])}
        its |= {"mean": estimate(float(mean), means), "cells": np.round(shares.mean(0), 4).tolist()}
        if before is None:
            before = value, again, np.array(mean), means
        else:
            its["change"] = {
                "range": estimate(value[0] - before[0][0], again[:, 0] - before[1][:, 0]),
                "worst": estimate(value[1] - before[0][1], again[:, 1] - before[1][:, 1]),
                "mean": estimate(float(mean - before[2]), means - before[3]),
            }
        rules[rule] = its
    native = maps["native"]
    told = {
        rule: estimate(
            float(position_share(whole, native, maps[rule], 1)[0]),
            position_share(resampled, native, maps[rule], RESAMPLES),
        )
        for rule in REVERSED
        if rule in maps
    }
    return {
        "rules": rules,
        "p uneven": p_uneven(native),
        "p turning": p_turning(native),
        "turning part": round(turning_part(whole, native), 3),
        "position share": told,
    }


REVERSED = RULES[3:5]


def read(answers: pd.DataFrame, rules: Sequence[str] = RULES) -> dict[str, Maps]:
    """The maps of every wording by itself, and of their mean, by rule, in the order of ``rules``."""
    of = {
        rule: rows.pivot(index="picture", columns=["wording", "cell"], values="share").to_numpy(float)
        for rule, rows in answers.groupby("scheme")
    }
    cut = {rule: of[rule].reshape(len(of[rule]), len(WORDINGS), -1) for rule in rules if rule in of}
    found: dict[str, Maps] = {"all wordings": {rule: its.mean(1) for rule, its in cut.items()}}
    for number, (question, _) in enumerate(WORDINGS):
        found[question] = {rule: its[:, number] for rule, its in cut.items()}
    return found


def record(answers: pd.DataFrame) -> dict[str, Any]:
    """The endpoints, by tokens along a side, then by wording."""
    return {
        str(side): {name: figures(maps) for name, maps in read(rows).items()} for side, rows in answers.groupby("side")
    }
