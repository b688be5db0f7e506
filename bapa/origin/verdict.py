"""From shares with intervals to a sentence. Every claim rests on an interval that excludes its opposite."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bapa.stats.intervals import Estimate
from bapa.stats.text import with_interval

MATERIAL = 0.1  # a spread of margins counts from this share of the gap between present and absent on
MOST, SOME = 0.5, 0.2  # a factor carries most, or at least some, of the spread if its interval lies above
Shares = Mapping[str, Estimate]

_NAMES = {
    "encoder": "where the encoder saw it",
    "order": "its place in the order of the tokens",
    "position": "the rotary position it gets",
}


def decide(shares: Shares, spread: Mapping[str, Any], level: float) -> dict[str, Any]:
    """What the spread comes from.

    ``shares``: as :func:`bapa.origin.attribution.shares` gives them; ``spread``: the test of the native map by
    :func:`bapa.stats.significance.place_test`. The result has ``cause`` (``encoder``, ``language model``,
    ``both``, ``none``: there is no spread to explain, or ``unknown``), ``detail`` (``position``, ``order`` or None)
    and ``sentence``.
    """
    if spread["p"] is None or spread["p"] >= 1 - level:
        p = "" if spread["p"] is None else f" (p = {spread['p']:.2g})"
        return _verdict("none", f"There is no bias to explain: the cells differ by no more than chance allows{p}.")
    if not shares:
        return _verdict("unknown", "It cannot be told where the bias comes from: no features could be moved.")
    if not _above(shares["variance"], 0):
        return _verdict("unknown", "It cannot be told where the bias comes from: the spread itself is too uncertain.")
    encoder, language = shares["encoder"], shares["language_model"]
    if _above(encoder, MOST) and not _above(language, SOME):
        return _verdict(
            "encoder",
            f"The bias comes from the vision encoder and projector: {_told(shares, 'encoder')}; "
            f"the language model's order and positions together carry {_share(language)}.",
        )
    if _above(language, MOST) and not _above(encoder, SOME):
        detail = next((factor for factor in ("position", "order") if _above(shares[factor], MOST)), None)
        where = {
            "position": "the positions its language model gives the image tokens",
            "order": "the order of the image tokens in its language model, which the causal mask goes by",
            None: "the language model, by order and positions together",
        }[detail]
        parts = [detail] if detail else ["position", "order"]
        rest = [factor for factor in _NAMES if factor not in parts]
        return _verdict(
            "language model",
            f"The bias comes from {where}, not from the vision encoder: "
            f"{' and '.join(_told(shares, part) for part in parts)}; "
            f"{' and '.join(f'{_NAMES[factor]} carries {_share(shares[factor])}' for factor in rest)}.",
            detail,
        )
    if _above(encoder, SOME) and _above(language, SOME):
        return _verdict(
            "both",
            f"The bias comes from both sides: {_told(shares, 'encoder')}, and the language model's order and positions "
            f"together carry {_share(language)}.",
        )
    return _verdict(
        "unknown",
        f"It cannot be told where the bias comes from: {_told(shares, 'encoder')}, the language model's order and "
        f"positions together carry {_share(language)}, and these intervals do not decide. More items narrow them.",
    )


def _verdict(cause: str, sentence: str, detail: str | None = None) -> dict[str, Any]:
    return {"cause": cause, "detail": detail, "sentence": sentence}


def _above(estimate: Estimate, bound: float) -> bool:
    return estimate["low"] is not None and estimate["low"] > bound


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
