"""What ``bapa check`` decided, in sentences. Every sentence names the figures it rests on."""

from __future__ import annotations

from dataclasses import dataclass

from bapa.check.decide import KEEP, MARGIN, ORDERLESS, Decision, failed, helps
from bapa.check.evidence import Arm, Evidence, Figure, Guard
from bapa.stats.text import interval, p_value, percent, points, signed


@dataclass(frozen=True)
class Told:
    """``headline``: one sentence. ``because``: the figures. ``costs``: what the rule takes away, guard by guard.

    ``change``: what would change the decision.
    """

    headline: str
    because: tuple[str, ...] = ()
    costs: tuple[str, ...] = ()
    change: tuple[str, ...] = ()


def told(evidence: Evidence, decision: Decision) -> Told:
    """``decision`` in words."""
    return {
        "refused": _refused,
        "no-answer": _no_answer,
        "content-unknown": _content_unknown,
        "too-few-items": _too_few,
        "even": _even,
        "small": _small,
        "encoder": _encoder,
        "no-rule-helps": _no_rule_helps,
        "loses": _loses,
        "helps": _helps,
    }[decision.reason](evidence, decision)


def _refused(evidence: Evidence, decision: Decision) -> Told:
    return Told(f"Cannot be told: {evidence.refusal}")


def _no_answer(evidence: Evidence, decision: Decision) -> Told:
    wanted = f" It would rather say {evidence.wanted!r}." if evidence.wanted else ""
    return Told(
        "Cannot be told: the model does not answer the question.",
        (f"Only {percent(evidence.mass or 0, 1)} % of the probability of the next token lies on the answers.{wanted}",),
        change=("A system prompt, thinking switched off, or written answers (--generate) may make it answer.",),
    )


def _content_unknown(evidence: Evidence, decision: Decision) -> Told:
    return Told(
        "Cannot be told: the model does not recognise this content well enough.",
        (f"Natively it tells present from absent content at a mean AUC of {_figure(evidence.native.mean)}.",),
        change=("A probe of content that the model knows (--pictures), or larger cells.",),
    )


def _too_few(evidence: Evidence, decision: Decision) -> Told:
    return Told(
        "Cannot be told: the cells may differ, but these items are too few to say.",
        (f"{_native(evidence)} This rests on {evidence.items} items.",),
        change=("More items: a larger --budget, and another --out.",),
    )


def _even(evidence: Evidence, decision: Decision) -> Told:
    return Told(
        "Leave it: no dependence on where the content stands was found.",
        (_native(evidence), _not_excluded(evidence)),
        change=("Other content, more cells or more items may show a bias that this probe does not.",),
    )


def _small(evidence: Evidence, decision: Decision) -> Told:
    return Told(
        "Leave it: a dependence on where the content stands was found, too small to matter.",
        (_native(evidence), _not_excluded(evidence)),
        change=("Other content, more cells or more items may show a larger bias than this probe does.",),
    )


def _not_excluded(evidence: Evidence) -> str:
    """How large a range may still be, and how small a one does not count."""
    most = points(evidence.native.range.most, 1)
    return f"A range of up to {most} is not excluded; one of {points(MARGIN)} or less does not count."


def _encoder(evidence: Evidence, decision: Decision) -> Told:
    return Told(
        "Balancing will not help: the bias comes from the encoder. Train the encoder, or choose another.",
        (
            _native(evidence),
            "The answers follow the cell that the encoder saw, not the position that its features got.",
            "bapa tune leaves the encoder as it is; it takes a training of its own.",
        ),
        change=("A model with another encoder.",),
    )


def _no_rule_helps(evidence: Evidence, decision: Decision) -> Told:
    return Told(
        "Tune it: it is biased, and no training-free rule that was tried mends it.",
        (_native(evidence), *map(_changes, evidence.arms[1:])),
        change=("More items, if an interval above includes zero; a rule that was not tried.", _FITTED, _TUNED),
    )


def _loses(evidence: Evidence, decision: Decision) -> Told:
    arm = _arm(decision)
    return Told(
        f"Do not balance it: {arm.label} evens the answers and costs too much elsewhere "
        f"({', '.join(_task(name).lower() for name in decision.lost)}).",
        (_native(evidence), _changes(arm), *_sought(evidence)),
        _costs(evidence, arm),
        (
            f"A use that never asks where things stand: then this cost does not concern you, and {arm.label} helps.",
            _FITTED,
            _TUNED,
        ),
    )


def _helps(evidence: Evidence, decision: Decision) -> Told:
    arm = _arm(decision)
    return Told(
        f"Balance it with {arm.label}.",
        (
            _native(evidence),
            _changes(arm),
            *_sought(evidence),
            _judged(evidence),
            *((_ORDERLESS,) if arm.label == ORDERLESS else ()),
        ),
        _costs(evidence, arm) or ("What it costs elsewhere was not measured: no side-effect probe was asked.",),
        ("A side-effect probe of your own use (bapa calibrate --guard), if it depends on where things stand.",),
    )


def _judged(evidence: Evidence) -> str:
    """What the figures of the rule are worth: they picked it, where several rules help."""
    several = sum(map(helps, evidence.arms[1:]))
    on = f"Judged on {evidence.items} items that picked no rule of the search"
    if several < 2:
        return f"{on}."
    return f"{on}; it is the best of {several} rules that help on them, so its gain is somewhat overstated."


_ORDERLESS = (
    "It leaves image tokens neither positions nor an order; of places the model knows what their features tell."
)


_FITTED = (
    "A rule fitted to this model, attention head by attention head (bapa fit), where its image tokens form one grid."
)

_TUNED = (
    "Tuning without a rule, on questions about content in every place alike and about places (bapa tune MODEL "
    "--scheme native): three small models became even so and kept most of what they knew of rows."
)


def _sought(evidence: Evidence) -> tuple[str, ...]:
    """What became of the search for a rule that keeps places, where there was reason for one."""
    search = evidence.search
    if search is None:
        return ()
    if search.left_out:
        return (f"No rule that keeps both was searched for: {search.left_out}.",)
    of = f"Of {search.candidates} rules tried for it"
    if search.rule is None:
        return (f"{of}, none is evener than native and keeps {percent(KEEP)} % of the right answers.",)
    arm = next(arm for arm in evidence.arms if arm.label == search.rule)
    if failed(evidence.guards, arm.label):
        kept = f"kept {percent(KEEP)} % of the right answers on the items that picked it"
        lost = f"less than {percent(KEEP)} % of the skill above chance on others"
        return (f"{of}, {arm.label} {kept}, and {lost}.", *_costs(evidence, arm))
    if not helps(arm):
        return (f"{of}, {arm.label} keeps it, and does not surely help. {_changes(arm)}",)
    others = [other for other in evidence.arms[1:] if failed(evidence.guards, other.label)]
    lose = " and ".join(other.label for other in others)
    return (f"{of}, {arm.label} is the evenest that keeps it; {lose} {'lose' if len(others) > 1 else 'loses'} it.",)


def _arm(decision: Decision) -> Arm:
    if decision.arm is None:
        raise ValueError(f"a decision for the reason {decision.reason!r} is about a rule")
    return decision.arm


def _native(evidence: Evidence) -> str:
    native = evidence.native
    p = "p not known" if evidence.p is None else p_value(evidence.p)
    return (
        f"Natively the worst cell has an AUC of {_figure(native.worst)}; best and worst cell differ by "
        f"{_figure(native.range)} points ({p})."
    )


def _changes(arm: Arm) -> str:
    worst, mean = arm.change["worst"], arm.change["mean"]
    return (
        f"Under {arm.label} the worst cell has {percent(arm.worst.value, 1)} ({_change(worst)}), the range is "
        f"{percent(arm.range.value, 1)}, the mean {percent(arm.mean.value, 1)} ({_change(mean)})."
    )


def _costs(evidence: Evidence, arm: Arm) -> tuple[str, ...]:
    asked = (_cost(guard, arm.label) for guard in evidence.guards if arm.label in guard.rules)
    return (*asked, *(f"{_task(name)}: not asked; {reason}" for name, reason in evidence.unasked.items()))


def _cost(guard: Guard, label: str) -> str:
    if not guard.tells:
        rate = percent(guard.native.value, 1)
        return (
            f"{_task(guard.name)}: the model cannot do this natively ({rate} %), so this says nothing about the rule."
        )
    after = guard.rules[label]
    return (
        f"{_task(guard.name)}: {percent(guard.native.value, 1)} % natively, {percent(after.value, 1)} % under {label} "
        f"(chance {percent(guard.chance, 1)} %)."
    )


def _task(name: str) -> str:
    """What a side-effect probe asks, in words."""
    return {"where": "Telling row and column", "order": "Telling what comes first", "point": "Pointing"}.get(name, name)


def _figure(figure: Figure) -> str:
    """Value and interval in per cent."""
    return f"{percent(figure.value, 1)} {interval(vars(figure), 1)}".rstrip()


def _change(figure: Figure) -> str:
    bounds = f" [{signed(figure.low, 1)}, {signed(figure.high, 1)}]" if figure.low is not None else ""
    return f"{signed(figure.value, 1)}{bounds}"
