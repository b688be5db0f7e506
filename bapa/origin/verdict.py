"""From shares with intervals to a sentence. Every claim rests on an interval that excludes its opposite."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bapa.stats.bias import READABLE
from bapa.stats.clusters import LEAST, NAMES
from bapa.stats.intervals import Estimate
from bapa.stats.text import percent, with_interval

MATERIAL = 0.1  # a spread of margins counts from this share of the gap between present and absent on
# A factor carries most, or at least some, of the spread if its interval lies above; none if it lies within +-NONE.
MOST, SOME, NONE = 0.5, 0.2, 0.1
PENALTY = 0.25  # of the gap between present and absent: what moved features may lose before nothing can be told
FACTORS = ("encoder", "order", "position")
Shares = Mapping[str, Estimate]

_NAMES = {
    "encoder": "where the encoder saw it",
    "order": "its place in the order of the tokens",
    "position": "the rotary position it gets",
}


def decide(
    shares: Shares, spread: Mapping[str, Any], level: float, observations: int | None = None, by: str = "item"
) -> dict[str, Any]:
    """What the spread comes from.

    ``shares``: as :func:`bapa.origin.attribution.shares` gives them; ``spread``: the test of the native map by
    :func:`bapa.stats.significance.place_test`; ``observations``: how many stand behind it, where too few are told apart
    from none, and ``by``, what makes one. The result has

    ``cause``: ``encoder``, ``language model``, ``both``, ``none`` (there is no spread to explain), or ``unknown``;
    ``detail``: of the language model, ``position``, ``order``, or None where it is both or cannot be told;
    ``alone``: whether every other factor's interval lies within :data:`NONE` of zero, or holds it and lies within
    :data:`SOME`; where one does not,
    the cause is what most comes from; ``opposing``: factors that work against the map, their interval below zero;
    ``sentence``.
    """
    if (spread["p"] is None or spread["p"] >= 1 - level) and observations is not None and observations < LEAST:
        few = f"{observations} {NAMES[by][observations != 1]} answered in every cell"
        return _verdict("unknown", f"It cannot be told whether there is a bias to explain: {few}, {LEAST} are needed.")
    if spread["p"] is None or spread["p"] >= 1 - level:
        p = "" if spread["p"] is None else f" (p = {spread['p']:.2g})"
        return _verdict("none", f"There is no bias to explain: the cells differ by no more than chance allows{p}.")
    if not shares:
        return _verdict("unknown", "It cannot be told where the bias comes from: no features could be moved.")
    if not _above(shares["variance"], 0):
        return _verdict("unknown", "It cannot be told where the bias comes from: the spread itself is too uncertain.")
    opposing = [factor for factor in FACTORS if _below(shares[factor], 0) and (shares[factor]["value"] or 0) < -NONE]
    most = [factor for factor in FACTORS if _above(shares[factor], MOST)]
    some = [factor for factor in FACTORS if _above(shares[factor], SOME)]
    language = [factor for factor in some if factor != "encoder"]
    if "encoder" in some and (language or _above(shares["language_model"], SOME)):
        cause, detail, which = "both", None, some
    elif most and some == most[:1]:
        cause, detail, which = ("encoder", None, most) if most == ["encoder"] else ("language model", most[0], most)
    elif _above(shares["language_model"], MOST):
        cause, detail, which = "language model", None, ["order", "position"]
    else:
        told = ", ".join(f"{_NAMES[factor]} carries {_share(shares[factor])}" for factor in FACTORS)
        sentence = f"It cannot be told where the bias comes from: {told}, and these intervals do not decide."
        return _verdict(
            "unknown", f"{sentence}{_against(shares, opposing)} More {NAMES[by][1]} narrow them.", opposing=opposing
        )
    rest = [factor for factor in FACTORS if factor not in which]
    alone = all(_within(shares[factor], NONE) for factor in rest)
    return _verdict(cause, _sentence(shares, cause, which, alone, opposing), detail, alone, opposing)


_PLACES = {
    "encoder": "the vision encoder and projector",
    "position": "the positions its language model gives the image tokens",
    "order": "the order of the image tokens in its language model, which the causal mask goes by",
}
ASSUMED = (
    "Assumed: the effects of encoder, order and position add up, and features bear being moved; what moving "
    "alone costs is measured."
)


def _sentence(shares: Shares, cause: str, which: list[str], alone: bool, opposing: list[str]) -> str:
    rest = [factor for factor in FACTORS if factor not in which and factor not in opposing]
    told = " and ".join(_told(shares, factor) for factor in which)
    others = "; ".join(f"{_NAMES[factor]} carries {_share(shares[factor])}" for factor in rest)
    where = {
        "both": "both sides, encoder and language model",
        "language model": "the language model, by order and positions together",
    }
    name = _PLACES[which[0]] if len(which) == 1 else where[cause]
    much = " alone" if alone and len(which) == 1 else "" if cause == "both" else " mostly"
    text = f"The bias comes{much if much == ' mostly' else ''} from {name}{much if much == ' alone' else ''}: {told}"
    return f"{text}{f'; {others}' if others else ''}.{_against(shares, opposing)} {ASSUMED}"


def _against(shares: Shares, opposing: list[str]) -> str:
    """The factors that work against the map, by name."""
    if not opposing:
        return ""
    each = " and ".join(f"{_NAMES[factor]}, with {_share(shares[factor])}" for factor in opposing)
    return f" Against it works {each}: without that the cells would differ more."


def tolerated(chosen: Mapping[str, Any], penalty: Mapping[str, Any]) -> dict[str, Any]:
    """The verdict, unless moving features between cells that answer alike already costs too much: then answers change
    because features stand where they never stood, and cannot tell causes apart.

    ``penalty``: as of :func:`bapa.origin.attribution.penalties`.
    """
    if chosen["cause"] in ("none", "unknown"):
        return dict(chosen)
    for move, told in penalty.items():
        size = told["share"]
        if size["value"] is not None and abs(size["value"]) > PENALTY and _off(size):
            sentence = (
                f"It cannot be told where the bias comes from: moving {move} between cells that answer alike, which "
                f"should change nothing, moves the margin by {_share(size)} of the gap between present and absent."
            )
            return {**chosen, **_verdict("unknown", sentence)}
    return dict(chosen)


def answered(chosen: Mapping[str, Any], mass: float | None) -> dict[str, Any]:
    """The verdict, unless the model answers something else: then what its answers do says little about it.

    ``mass``: the mean probability of the answers it may choose from, natively; None where that is not known.
    """
    if mass is None or mass >= READABLE:
        return dict(chosen)
    sentence = (
        f"It cannot be told where the bias comes from: only {percent(mass, 1)} % of the model's probability falls on "
        "the answers it may choose from. Ask in other words: bapa probe --prompt"
    )
    return {**chosen, **_verdict("unknown", sentence)}


def followed(chosen: Mapping[str, Any], control: Mapping[str, Any]) -> dict[str, Any]:
    """The verdict, unless shares stay with their names where the factors are called by each other's: then whatever
    found them does not go by the answers.
    """
    if chosen["cause"] in ("none", "unknown") or control["followed"] == control["relabelled"]:
        return dict(chosen)
    sentence = (
        "It cannot be told where the bias comes from: with the factors called by each other's names the shares do not "
        "follow; this is an error of bapa, please report it."
    )
    return {**chosen, **_verdict("unknown", sentence)}


def _verdict(
    cause: str,
    sentence: str,
    detail: str | None = None,
    alone: bool = False,
    opposing: Sequence[str] = (),
) -> dict[str, Any]:
    return {"cause": cause, "detail": detail, "alone": alone, "opposing": list(opposing), "sentence": sentence}


def _above(estimate: Estimate, bound: float) -> bool:
    return estimate["low"] is not None and estimate["low"] > bound


def _below(estimate: Estimate, bound: float) -> bool:
    return estimate["high"] is not None and estimate["high"] < bound


def _within(estimate: Estimate, bound: float) -> bool:
    """Whether the interval lies near zero, or holds it and no part that counts (:data:`SOME`)."""
    low, high = estimate["low"], estimate["high"]
    if low is None or high is None:
        return False
    return max(abs(low), abs(high)) <= (SOME if low <= 0 <= high else bound)


def _off(estimate: Estimate) -> bool:
    return _above(estimate, 0) or _below(estimate, 0)


def _told(shares: Shares, factor: str) -> str:
    return f"{_share(shares[factor])} of the spread between cells goes with {_NAMES[factor]}"


def _share(estimate: Estimate) -> str:
    if estimate["value"] is None:
        return "an unknown part"
    return with_interval(estimate, unit=" %")


def quantity(hit: Mapping[str, Any], spread: Mapping[str, Any], material: float, level: float) -> str:
    """What the verdict is about: ``hit``, or ``margin`` where hits do not decide and margins differ between cells.

    A model that cannot read a place may say yes to everything about it, which keeps its hits up. ``hit``: what
    :func:`decide` makes of the hits; ``spread``: the test of the margins; ``material``: as of
    :func:`bapa.origin.attribution.materiality`, so that a difference too small to matter for any answer does not count.
    """
    differs = spread["p"] is not None and spread["p"] < 1 - level
    return "margin" if hit["cause"] in ("none", "unknown") and differs and material > MATERIAL else "hit"


def agree(one: Mapping[str, Any], two: Mapping[str, Any], about: str = "hit") -> dict[str, Any]:
    """The first verdict, unless the second names another cause: then it cannot be told. ``about``: the quantity."""
    chosen = dict(one)
    if not {one["cause"], two["cause"]} & {"none", "unknown"} and one["cause"] != two["cause"]:
        chosen = _verdict(
            "unknown",
            "It cannot be told where the bias comes from: exchanging features within a picture and patching them in "
            f"from another picture disagree ({one['cause']} against {two['cause']}).",
        )
    if about == "margin":
        chosen["sentence"] = f"Hits alone do not tell; how sure the answers are does. {chosen['sentence']}"
    return {**chosen, "quantity": about}
