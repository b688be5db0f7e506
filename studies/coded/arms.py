"""Models of several arms, each asked under several rules, one beside another."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

from studies.coded.ask import CHANCE
from studies.fitted import places
from studies.taught.reading import Array, gained
from studies.words import reading

Asked = tuple[str, str]  # a model, by its arm, and a rule
Maps = Mapping[Asked, Array]  # the shares of every picture and cell, (pictures, 9)


def beside(shares: pd.DataFrame, placed: pd.DataFrame) -> tuple[Maps, pd.DataFrame]:
    """Of one projector: the maps of all arms and rules, and right answers with the columns that other studies have."""
    maps = {asked: reading.averaged(rows) for asked, rows in shares.groupby(["arm", "rule"])}
    return maps, placed.rename(columns={"arm": "model", "rule": "scheme", "picture": "grid"})


def called(asked: Asked) -> str:
    """What a model under a rule is called on a page."""
    return f"{asked[0]}, {asked[1]}"


def each(maps: Maps, where: pd.DataFrame) -> dict[str, Any]:
    """Names and places of every model under every rule."""
    return {called(asked): {**_map(maps[asked]), **_right(where, asked)} for asked in maps}


def less(
    maps: Maps, where: pd.DataFrame, compared: Sequence[tuple[Asked, Asked]]
) -> Iterator[tuple[tuple[Asked, Asked], dict[str, Any]]]:
    """How each first differs from its second in names and places, picture by picture; of pairs that were asked."""
    for mine, other in compared:
        if mine in maps and other in maps:
            both = reading.figures({"native": maps[other], "mine": maps[mine]})["rules"]["mine"]["change"]
            yield (mine, other), {**both, **gained(where, other, mine, CHANCE)}


def kept(where: pd.DataFrame, mine: Asked, other: Asked) -> dict[str, dict[str, float]]:
    """How much of what one knows of places beyond chance another knows; of what the ``other`` knows."""
    both = pd.concat([_of(where, other).assign(scheme="native"), _of(where, mine).assign(scheme="mine")])
    return {what: its["kept"] for what, its in places.figures(both, CHANCE)["mine"].items() if "kept" in its}


def _map(shares: Array) -> dict[str, Any]:
    its = reading.figures({"native": shares})["rules"]["native"]
    return {name: its[name] for name in ("mean", "worst", "range", "cells")}


def _right(where: pd.DataFrame, asked: Asked) -> dict[str, Any]:
    """Right answers of one model under one rule, whichever it is."""
    found = places.figures(_of(where, asked).assign(scheme="native"), CHANCE)["native"]
    return {what: one["right"] for what, one in found.items()}


def _of(where: pd.DataFrame, asked: Asked) -> pd.DataFrame:
    return where[(where["model"] == asked[0]) & (where["scheme"] == asked[1])]
