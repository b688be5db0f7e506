"""What the figures say, in sentences. Every number and every verdict comes from ``bias.json``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from bapa.report.compare import Bias, base, changes, others
from bapa.report.view import Estimate, interval, percent, signed
from bapa.stats.floors import SeedNoise, Spread, is_null


def remedies(bias: Bias) -> list[str]:
    """All schemes but the base and its null arms."""
    return [label for label in others(bias) if not is_null(label)]


def value(bias: Bias, scheme: str, quantity: str) -> float | None:
    """An overall figure."""
    number: float | None = bias["schemes"][scheme]["overall"][quantity]["value"]
    return number


def spread(bias: Bias) -> str:
    """How far the place decides under the base scheme."""
    scheme = base(bias)
    worst, best = _extremes(bias)
    test = bias["schemes"][scheme]["tests"]["permutation_range"]
    if test["p"] is not None and test["p"] >= 1 - bias["level"]:
        rate, range_ = (percent(value(bias, scheme, quantity)) for quantity in ("hit", "range"))
        return f"Under {scheme} the hit rate is {rate} %; its cells differ by no more than chance ({range_} points)."
    low, high = (f"{percent(cell['hit']['value'])} %" for cell in (worst, best))
    return (
        f"Under {scheme} the same content is found in {low} of the pictures when it stands {place(worst, bias)} "
        f"and in {high} when it stands {place(best, bias)}."
    )


def _extremes(bias: Bias) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """The worst and the best cell under the base scheme."""
    cells = sorted(bias["schemes"][base(bias)]["cells"], key=lambda cell: cell["hit"]["value"])
    return cells[0], cells[-1]


def effect(bias: Bias, scheme: str) -> str:
    """What ``scheme`` does to the map of the base scheme: to its unevenness and to its level."""
    start = base(bias)
    flat = _verdict(
        bias,
        scheme,
        "range",
        up="makes the map more uneven",
        down="flattens the map",
        same="leaves the map as uneven as it was",
    )
    level = _verdict(
        bias,
        scheme,
        "hit",
        up="raises the mean hit rate",
        down="lowers the mean hit rate",
        same="hardly moves the mean hit rate",
    )
    before, after = (percent(value(bias, label, "range")) for label in (start, scheme))
    low, high = (percent(value(bias, label, "hit")) for label in (start, scheme))
    return f"{scheme} {flat} (range {before} → {after} points) and {level} ({low} → {high} %)."


def best(bias: Bias) -> str:
    """The scheme with the highest balanced accuracy; with the highest hit rate where nothing absent was asked."""
    quantity = "balanced_accuracy" if value(bias, base(bias), "balanced_accuracy") is not None else "hit"
    return max((base(bias), *remedies(bias)), key=lambda scheme: value(bias, scheme, quantity) or 0.0)


def findings(bias: Bias, noise: SeedNoise | None = None) -> list[str]:
    """What a run shows: how far the place decides, what each scheme does about it, where answers are guesses, and the
    noise floors. ``noise``: over training seeds, where it is known.
    """
    effects = [effect(bias, scheme) for scheme in remedies(bias)]
    doubts = filter(None, [guesses(bias), unread(bias)])
    return [spread(bias), *effects, *doubts, *arithmetic(bias), *training(bias, noise)]


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
        if not is_null(label) and (rate := found.get("hit")) and (span := found.get("range"))
    ]
    if each:
        yield (
            f"Floor of training: over {seeds} seeds, mean hit rate and range are {'; '.join(each)}. Two trained models "
            "that lie no further apart than this do not differ by more than their seeds."
        )
    for label in remedies(bias):
        changes = [(name, _change(noise, start, label, quantity)) for quantity, name in _REPEATED.items()]
        told = [f"{name} by {', '.join(signed(x) for x in found.values)}" for name, found in changes if found]
        if told:
            yield f"From {start} to {label}, seed by seed, {' and '.join(told)} points."


def _span(spread: Spread) -> str:
    return f"{percent(spread.low)} to {percent(spread.high)}"


_REPEATED = {"range": "the range changes", "hit": "the mean hit rate"}


def _change(noise: SeedNoise, start: str, scheme: str, quantity: str) -> Spread | None:
    """The effect of ``scheme`` on each seed."""
    if forth := noise.differences.get((start, scheme, quantity)):
        return forth
    back = noise.differences.get((scheme, start, quantity))
    return back and Spread(tuple(-x for x in back.values))


def guesses(bias: Bias) -> str:
    """The schemes whose answers are no better than guesses; a high hit rate there is a habit of saying yes."""
    accuracy = {scheme: found["overall"]["balanced_accuracy"] for scheme, found in bias["schemes"].items()}
    found = [f"{scheme} ({percent(e['value'])} {interval(e)})" for scheme, e in accuracy.items() if _guess(e)]
    return f"No better than guessing, by balanced accuracy: {', '.join(found)}." if found else ""


def unread(bias: Bias) -> str:
    """Whether the questions hold words that the model has no tokens for."""
    asked = bias.get("prompts")
    if not asked or not asked["unknown"]:
        return ""
    return (
        f"{asked['unknown']} of the {asked['tokens']} tokens of the prompts are words that this model's tokenizer does "
        "not know; what it cannot read it can only guess at."
    )


def _guess(estimate: Estimate) -> bool:
    return estimate["low"] is not None and estimate["low"] <= 0.5


def answer(runs: Sequence[tuple[str, Bias]]) -> str:
    """The question of the page answered for (name, bias) pairs, by the permutation test under the base scheme."""
    matters: dict[bool, list[str]] = {}
    for name, bias in runs:
        p = bias["schemes"][base(bias)]["tests"]["permutation_range"]["p"]
        if p is not None:
            matters.setdefault(p < 1 - bias["level"], []).append(name)
    if not matters:
        return ""
    if len(matters) == 2:
        return f"Yes for {', '.join(matters[True])}; for {', '.join(matters[False])} no more than chance allows."
    many = len(runs) > 1
    if True in matters:
        return "Yes, for every model here." if many else "Yes."
    return f"No more than chance allows{', for any model here' if many else ''}."


def verdict(runs: Sequence[tuple[str, Bias]]) -> str:
    """Whether one scheme serves all the models of (name, bias) pairs; empty where there is nothing to choose."""
    if len(runs) < 2 or not all(others(bias) for _, bias in runs):
        return ""
    winners = {name: best(bias) for name, bias in runs}
    if len(set(winners.values())) == 1:
        return f"{next(iter(winners.values()))} does best on every model here."
    each = ", ".join(f"{scheme} on {name}" for name, scheme in winners.items())
    return f"No scheme is best everywhere ({each}): what serves depends on where the model learned to look."


def summary(runs: Sequence[tuple[str, Bias]]) -> list[str]:
    """The (name, bias) pairs in a sentence each, and the verdict."""
    return [*(in_brief(name, bias) for name, bias in runs), *filter(None, [verdict(runs)])]


def in_brief(name: str, bias: Bias) -> str:
    """One sentence about one run: the worst and the best cell, then range and level under every scheme."""
    worst, best_cell = _extremes(bias)
    start = base(bias)
    each = ", ".join(
        f"{percent(value(bias, scheme, 'range'))} points and {percent(value(bias, scheme, 'hit'))} % under {scheme}"
        for scheme in (start, *others(bias))
    )
    return (
        f"{name} under {start} finds the same content in {percent(worst['hit']['value'])} % of the pictures "
        f"{place(worst, bias)} and in {percent(best_cell['hit']['value'])} % {place(best_cell, bias)}; range over the "
        f"cells and mean hit rate are {each}."
    )


def _verdict(bias: Bias, scheme: str, quantity: str, *, up: str, down: str, same: str) -> str:
    """One of three wordings: whether the interval of the difference to the base lies above, below or around zero."""
    for change in changes(bias, scheme):
        if change.quantity == quantity and change.cell is None:
            return {1: up, -1: down, 0: same}[change.direction]
    return same


def place(cell: Mapping[str, Any], bias: Bias) -> str:
    """Where a cell is, as people say it: ``at the bottom right``; ``in row 2, column 5`` on larger grids."""
    names = {1: ("",), 2: ("top", "bottom"), 3: ("top", "middle", "bottom")}.get(bias["probe"]["rows"])
    sides = {1: ("",), 2: ("left", "right"), 3: ("left", "centre", "right")}.get(bias["probe"]["cols"])
    if names is None or sides is None:
        return f"in row {cell['row'] + 1}, column {cell['col'] + 1}"
    return (
        f"at the {names[cell['row']]} {sides[cell['col']]}".replace("middle centre", "very centre")
        .replace("  ", " ")
        .rstrip()
    )
