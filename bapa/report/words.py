"""What the figures say, in sentences. Every number and every verdict comes from ``bias.json``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from bapa.probe.slots import Kind, Slots
from bapa.report import claims
from bapa.report.compare import Bias, base, others
from bapa.stats.comparisons import MARGIN
from bapa.stats.floors import SeedNoise, Spread, is_null
from bapa.stats.text import interval, percent, points, signed


def remedies(bias: Bias) -> list[str]:
    """All schemes but the base and its null arms."""
    return [label for label in others(bias) if not is_null(label)]


def value(bias: Bias, scheme: str, quantity: str) -> float | None:
    """An overall figure."""
    number: float | None = bias["schemes"][scheme]["overall"][quantity]["value"]
    return number


def spread(bias: Bias) -> str:
    """How far the place decides under the base scheme."""
    scheme, (mean, span) = base(bias), claims.main(bias)
    overall, what = bias["schemes"][scheme]["overall"], claims.name(bias)
    told = f"{points(overall[span]['value'])} {interval(overall[span])}".rstrip()
    reading = claims.reading(bias, scheme)
    if reading == "no answers":
        return claims.wanted(bias, scheme)
    if reading == "uneven":
        worst, best = _extremes(bias)
        low, high = (percent(cell["hit"]["value"]) for cell in (worst, best))
        return (
            f"Under {scheme} the place matters: the {what} differs by {told} between cells. Where it is lowest, "
            f"{place(worst, bias)}, {low} % of what is there is found; where it is highest, {place(best, bias)}, "
            f"{high} %."
        )
    level = f"mean {what} {percent(overall[mean]['value'])} %"
    if reading == "blind":
        return (
            f"Under {scheme} there is no sign that the place matters, but the model cannot tell present from absent "
            f"({'; '.join(claims.lost(bias, scheme))}), so that means nothing."
        )
    if reading == "even":
        return f"Under {scheme} the map is even: the range over its cells is {told}; {level}."
    return f"Under {scheme} there is no sign that the place matters; the cells may still differ ({told}; {level})."


def _extremes(bias: Bias) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """The worst and the best cell under the base scheme; the higher hit rate decides between equals."""
    quantity = claims.main(bias)[0]
    cells = sorted(
        bias["schemes"][base(bias)]["cells"], key=lambda cell: (cell[quantity]["value"], cell["hit"]["value"])
    )
    return cells[0], cells[-1]


def effect(bias: Bias, scheme: str) -> str:
    """What ``scheme`` does to the map of the base scheme: to its evenness and to its level."""
    reading = claims.reading(bias, scheme)
    if reading == "no answers":
        return claims.wanted(bias, scheme)
    start, (mean, span), what = base(bias), claims.main(bias), claims.name(bias)
    flat, level = claims.changed(bias, scheme, span), claims.changed(bias, scheme, mean)
    why = claims.lost(bias, scheme)
    before, after = percent(value(bias, start, span)), points(value(bias, scheme, span))
    low, high = (percent(value(bias, label, mean)) for label in (start, scheme))
    figures = f"range of the {what} {before} → {after}, mean {low} → {high} %"
    if why and not claims.at_chance(bias, scheme) and (flat < 0 or reading == "blind"):
        more = "more even" if flat < 0 else "no sign that the place matters"
        worse = f"tells present from absent worse than {start} by more than {points(MARGIN)}"
        still = "" if any(text.startswith("AUC") for text in why) or mean != "auc" else "; not so by its margins"
        return f"{scheme}: {more}, but it {worse} ({'; '.join(why)}{still}); {figures}."
    if why and (flat < 0 or reading == "blind"):
        more = "more even" if flat < 0 else "even"
        still = (
            "" if any(text.startswith("AUC") for text in why) or mean != "auc" else "; by their margins they still do"
        )
        return f"{scheme}: {more} because it cannot tell present from absent ({'; '.join(why)}{still}); {figures}."
    evenness = {1: "makes the map more uneven", -1: "evens the map", 0: "has no clear effect on how even the map is"}
    telling = {
        1: f"tells present from absent better than {start}",
        -1: f"tells present from absent worse than {start}",
        0: "no clear change in how well it tells present from absent",
    }
    if mean == "hit":
        telling = {
            1: "raises the mean hit rate",
            -1: "lowers the mean hit rate",
            0: "no clear change of the mean hit rate",
        }
    link = "and" if level else "with"
    lost = f" By {why[0]} it has lost more than {points(MARGIN)}." if why else ""
    return f"{scheme} {evenness[flat]} {link} {telling[level]} ({figures}).{lost}"


def best(bias: Bias) -> str:
    """The scheme that the test finds to tell better than the base, the highest of several; the base where none does,
    or where what does is uneven more than the base.
    """
    mean, span = claims.main(bias)
    better = [
        scheme
        for scheme in remedies(bias)
        if claims.changed(bias, scheme, mean) > 0
        and claims.changed(bias, scheme, span) <= 0
        and not claims.lost(bias, scheme)
    ]
    return max(better, key=lambda scheme: value(bias, scheme, mean) or 0.0, default=base(bias))


def findings(bias: Bias, noise: SeedNoise | None = None) -> list[str]:
    """What a run shows: how far the place decides, what each scheme does about it, and the noise
    floors. ``noise``: over training seeds, where it is known.
    """
    effects = [effect(bias, scheme) for scheme in remedies(bias)] if claims.answers(bias, base(bias)) else []
    notes = [f"{text}." if text else "" for text in (claims.few(bias), claims.written(bias))]
    said = [
        spread(bias),
        *effects,
        *filter(None, [*notes, claims.cut(bias), unread(bias)]),
        *arithmetic(bias),
        *training(bias, noise),
    ]
    return [Slots.of(bias["probe"]).say(sentence) for sentence in said]


def arithmetic(bias: Bias) -> Iterator[str]:
    """The noise floor of the arithmetic, one sentence for each null arm."""
    for label, found in bias.get("floors", {}).items():
        moved = found["largest_margin_difference"]
        margin = "" if moved is None else f", and no margin moves by more than {moved:.2g}"
        yield (
            f"Floor of the arithmetic: with all positions moved by one constant ({label}), which should change "
            f"nothing, {found['flips']} of {found['answers']} answers flip{margin}."
        )


def training(bias: Bias, noise: SeedNoise | None) -> Iterator[str]:
    """The noise floor of training: what each scheme's figures span over seeds, and whether its effect stands above."""
    if noise is None:
        return
    start, seeds = base(bias), len(noise.runs)
    each = [
        f"{_span(rate)} % and {_span(span)} points under {label}"
        for label, found in noise.overall.items()
        if not is_null(label) and (rate := found.get("auc")) and (span := found.get("auc_range"))
    ]
    if each:
        yield (
            f"Floor of training: over {seeds} seeds, mean and range of the AUC are {'; '.join(each)}. Two trained "
            "models that lie no further apart than this do not differ by more than their seeds."
        )
    for label in remedies(bias):
        changes = [(name, _change(noise, start, label, quantity)) for quantity, name in _REPEATED.items()]
        told = [f"{name} by {', '.join(signed(x) for x in found.values)}" for name, found in changes if found]
        if told:
            yield f"From {start} to {label}, seed by seed, {' and '.join(told)} points."


def _span(spread: Spread) -> str:
    return f"{percent(spread.low)} to {percent(spread.high)}"


_REPEATED = {"auc_range": "the range of the AUC changes", "auc": "its mean", "hit": "the mean hit rate"}


def _change(noise: SeedNoise, start: str, scheme: str, quantity: str) -> Spread | None:
    """The effect of ``scheme`` on each seed."""
    if forth := noise.differences.get((start, scheme, quantity)):
        return forth
    back = noise.differences.get((scheme, start, quantity))
    return back and Spread(tuple(-x for x in back.values))


def unread(bias: Bias) -> str:
    """Whether the questions hold words that the model has no tokens for."""
    asked = bias.get("prompts")
    if not asked or not asked["unknown"]:
        return ""
    return (
        f"{asked['unknown']} of the {asked['tokens']} tokens of the prompts are words that this model's tokenizer does "
        "not know; what it cannot read it can only guess at."
    )


def answer(runs: Sequence[tuple[str, Bias]]) -> str:
    """The question of the page answered for (name, bias) pairs, by the test of the place under the base scheme."""
    matters: dict[bool, list[str]] = {}
    for name, bias in runs:
        reading = claims.reading(bias, base(bias))
        if reading in ("uneven", "even", "unclear"):
            matters.setdefault(reading == "uneven", []).append(name)
    if not matters:
        return ""
    if len(matters) == 2:
        untold = [name for name, _ in runs if name not in (*matters[True], *matters[False])]
        rest = f" For {', '.join(untold)} it cannot be told." if untold else ""
        return f"Yes for {', '.join(matters[True])}; for {', '.join(matters[False])} no more than chance allows.{rest}"
    many = len(runs) > 1
    (said,) = matters.values()
    untold = [name for name, _ in runs if name not in said]
    if untold:
        which = f"{', '.join(said)}; for {', '.join(untold)} it cannot be told."
        return f"Yes for {which}" if True in matters else f"No more than chance allows for {which}"
    if True in matters:
        return "Yes, for every model here." if many else "Yes."
    return f"No more than chance allows{', for any model here' if many else ''}."


def verdict(runs: Sequence[tuple[str, Bias]]) -> str:
    """Whether a scheme serves all the models of (name, bias) pairs, or serves one and harms another, as far as tests
    say so; empty where they do not, or where runs have different bases.
    """
    if len(runs) < 2 or not all(others(bias) for _, bias in runs) or len({base(bias) for _, bias in runs}) > 1:
        return ""
    for scheme in remedies(runs[0][1]):
        if all(best(bias) == scheme for _, bias in runs):
            return f"{scheme} tells present from absent better than {base(runs[0][1])} on every model here."
    served = {name: best(bias) for name, bias in runs if best(bias) != base(bias)}
    harmed = [
        (scheme, name)
        for scheme in dict.fromkeys(served.values())
        for name, bias in runs
        if scheme in bias["schemes"] and claims.changed(bias, scheme, claims.main(bias)[0]) < 0
    ]
    each = ", ".join(f"{scheme} on {name}" for name, scheme in served.items())
    if not harmed:
        return f"Better than {base(runs[0][1])} by the tests: {each}." if served else ""
    against = ", ".join(f"{scheme} on {name}" for scheme, name in harmed)
    return f"What serves depends on the model: better than {base(runs[0][1])} is {each}; worse is {against}."


def summary(runs: Sequence[tuple[str, Bias]]) -> list[str]:
    """The (name, bias) pairs in a sentence each, and the verdict."""
    return [*(in_brief(name, bias) for name, bias in runs), *filter(None, [verdict(runs)])]


def in_brief(name: str, bias: Bias) -> str:
    """One sentence about one run: what holds under the base, then range and level under every scheme."""
    start, (mean, span), what = base(bias), claims.main(bias), claims.name(bias)
    if not claims.answers(bias, start):
        return f"{name}: {claims.wanted(bias, start)}"
    each = ", ".join(
        f"{points(value(bias, scheme, span))} and {percent(value(bias, scheme, mean))} % under {scheme}"
        for scheme in (start, *others(bias))
    )
    lead = {
        "uneven": f"under {start} the place matters",
        "blind": f"under {start} the model cannot tell present from absent",
        "even": f"under {start} the map is even",
    }.get(claims.reading(bias, start), f"under {start} there is no sign that the place matters")
    words = Slots.of(bias["probe"]).words
    return f"{name}: {lead}; range over the {words} and mean of the {what} are {each}."


_ASKED: dict[Kind, str] = {
    "grid": "where in the picture the content stands",
    "images": "which of several images holds the content",
    "frames": "which frame of a clip shows the content",
    "page": "where on the page the content stands",
    "scene": "where in the scene the content stands",
    "crop": "where in a window over the scene the content stands",
    "sizes": "how large the content is",
    "aspects": "how wide or tall the content is drawn",
}


def asked(biases: Sequence[Bias]) -> str:
    """The question that a page over these runs answers."""
    kinds = {Slots.of(bias["probe"]).kind for bias in biases}
    on = _ASKED[kinds.pop()] if len(kinds) == 1 else "where the content stands"
    return f"Does the answer depend on {on}?"


def through(biases: Sequence[Bias]) -> str:
    """What the content was moved through."""
    kinds = {(slots.kind, slots.word) for slots in (Slots.of(bias["probe"]) for bias in biases)}
    kind, word = kinds.pop() if len(kinds) == 1 else ("", "slot")
    return "every cell of a grid" if kind == "grid" else f"every {word} in turn"


def changed(biases: Sequence[Bias]) -> str:
    """What changes across a map: the place of the content, or its size or aspect ratio."""
    words = {slots.word if slots.varied else "place" for slots in (Slots.of(bias["probe"]) for bias in biases)}
    return f"the {words.pop() if len(words) == 1 else 'slot'}"


def place(cell: Mapping[str, Any], bias: Bias) -> str:
    """Where a slot is, as people say it: ``at the bottom right``, ``in image 3``."""
    slots = Slots.of(bias["probe"])
    return slots.where(cell["row"] * slots.cols + cell["col"])
