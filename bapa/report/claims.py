"""What may be said of a scheme: one rule, by which both the tables and the sentences go."""

from __future__ import annotations

import shlex
from typing import Literal

from bapa.report.compare import Bias, base, changes
from bapa.stats.bias import READABLE
from bapa.stats.clusters import LEAST, NAMES
from bapa.stats.quantities import cell
from bapa.stats.text import Estimated, percent, with_interval

AGREE = 0.95  # share of sampled answers that must say in words what the logits say
_EQUAL = 0.9  # cells that hold so much of the image tokens of the largest count as equal
EVEN = 0.10  # a map is called even where the interval of its range ends below
_TELLS = ("auc", "balanced_accuracy")  # how well a scheme tells present from absent
Reading = Literal["no answers", "uneven", "blind", "even", "unclear"]


def main(bias: Bias) -> tuple[str, str]:
    """The quantities that claims are made about: a mean and its range. AUC, or hits where nothing absent was asked."""
    mean, span = bias["primary"]
    return mean, span


def name(bias: Bias) -> str:
    """What people call the first of them."""
    return "AUC" if main(bias)[0] == "auc" else "hit rate"


def answers(bias: Bias, scheme: str) -> bool:
    """Whether the model answers at all: some answer could be read, and most of its probability falls on the answers it
    may choose from.
    """
    return bias["schemes"][scheme]["overall"][main(bias)[0]]["value"] is not None and speaks(bias, scheme)


def speaks(bias: Bias, scheme: str) -> bool:
    """Whether most of the model's probability falls on the answers that it may choose from."""
    mass = bias["schemes"][scheme]["overall"]["mass"]["value"]
    return mass is None or mass >= READABLE


def place_matters(bias: Bias, scheme: str) -> bool:
    """Whether the test says that the place matters under ``scheme``."""
    p = bias["schemes"][scheme]["tests"][main(bias)[1]]["p_adjusted"]
    return p is not None and p < 1 - bias["level"]


def changed(bias: Bias, scheme: str, quantity: str) -> int:
    """1 where the test says that ``quantity`` over the cells is higher than under the base, -1 lower, else 0."""
    if not (answers(bias, scheme) and answers(bias, base(bias))):
        return 0
    for change in changes(bias, scheme):
        if change.quantity == quantity and change.cell is None:
            return change.direction(bias["level"])
    return 0


def lost(bias: Bias, scheme: str) -> list[str]:
    """Why one cannot say that ``scheme`` tells present from absent: figures in words; empty where it does."""
    found = bias["schemes"][scheme]
    shown = {key: f"{cell(key).spoken} {with_interval(found['overall'][key])}" for key in _TELLS}
    reasons = []
    for key, text in shown.items():
        if _holds_chance(found["overall"][key]):
            reasons.append(text)
        elif found["keeps"][key] == "lost":
            before = percent(bias["schemes"][base(bias)]["overall"][key]["value"])
            reasons.append(f"{text}, {before} under {base(bias)}")
    return reasons


def at_chance(bias: Bias, scheme: str) -> bool:
    """Whether ``scheme`` may not tell present from absent at all; else :func:`lost` says that it tells worse."""
    overall = bias["schemes"][scheme]["overall"]
    return any(_holds_chance(overall[key]) for key in _TELLS)


def _holds_chance(found: Estimated) -> bool:
    return found["low"] is not None and found["high"] is not None and found["low"] <= 0.5


def reading(bias: Bias, scheme: str) -> Reading:
    """What the map of ``scheme`` shows.

    ``no answers``: no verdict, the model wants to say something else. ``uneven``: the place matters. ``blind``: no sign
    of that, but it cannot tell present from absent, or tells worse than the base by more than the margin.
    ``even``: the interval of the range ends below :data:`EVEN`, and it tells as well as the base. ``unclear``: neither
    can be said.
    """
    if not answers(bias, scheme):
        return "no answers"
    if place_matters(bias, scheme):
        return "uneven"
    if lost(bias, scheme):
        return "blind"
    found = bias["schemes"][scheme]
    high = found["overall"][main(bias)[1]]["high"]
    kept = all(state in (None, "kept") for state in found["keeps"].values())
    return "even" if kept and high is not None and high <= EVEN else "unclear"


def few(bias: Bias) -> str:
    """What to say where so few clusters answer that tests find little; empty where there are enough."""
    over = bias["clusters"]
    if over["number"] >= LEAST:
        return ""
    what = NAMES[over["by"]][1]
    return (
        f"Only {over['number']} {what} stand behind intervals and tests, which are over {what}. A test over fewer than "
        f"{LEAST} has little power: that it finds nothing does not show that there is nothing"
    )


def cut(bias: Bias) -> str:
    """What to say where cells do not hold whole image tokens, or not equally many; empty where they do, and where the
    tokens are not told.
    """
    found = bias.get("geometry")
    if found is None or found["tokens"] is None:
        return ""
    least, most = found["cell"]
    if not found["shared"] and least > _EQUAL * most:
        return ""
    rows, cols = found["tokens"]
    of = bias["probe"]["rows"] * bias["probe"]["cols"]
    covers = f"{most:g}" if least == most else f"{least:g} to {most:g}"
    given = bias["probe"].get("given", {})  # which older runs do not tell, so that they name the source alone
    source = [given.get("source", bias["probe"]["source"]), *(("--split", given["split"]) if "split" in given else ())]
    command = shlex.join(["bapa", "probe", *source, "--align", bias["model"]["name"], "--out", "PROBE"])
    return (
        f"Cells do not fall on whole image tokens: a cell covers {covers} of {rows} x {cols}, and {found['shared']} of "
        f"{of} cells share tokens with what lies beside them. So cells may differ by how their edges fall and not only "
        f"by where they stand. Build a probe that fits this model: {command}"
    )


def written(bias: Bias) -> str:
    """Whether sampled answers say in words what the logits say; empty where none were written."""
    found = {label: its for label, its in bias.get("written", {}).items() if its["answers"]}
    if not found:
        return ""
    total, agree, unread = (sum(its[name] for its in found.values()) for name in ("answers", "agree", "unread"))
    told = f"Of {total} sampled answers, {agree} say in words what the logits say"
    if agree < total:
        each = ", ".join(f"{label} {its['agree']} of {its['answers']}" for label, its in found.items())
        told += f" ({each}); {unread} name no choice, {total - agree - unread} another one"
    if agree < AGREE * total:
        first = next(one for its in found.values() for one in its["first"])
        told += (
            f", e.g. {first['answer']!r} by its logits and {first['text'][:40]!r} in words. Let the model write all of "
            "its answers: bapa measure --generate 16"
        )
    return told


def wanted(bias: Bias, scheme: str) -> str:
    """Why there is no verdict: how little falls on the answers, and what the model wanted to say instead."""
    found = bias["schemes"][scheme]
    if found["overall"]["mass"]["value"] is None:
        return (
            f"No verdict on {scheme}: no item has answers that can be read. The page of every item shows what the "
            "model says; ask in other words: bapa probe --prompt"
        )
    tokens = ", ".join(f"{one['token']!r} ({percent(one['share'])} %)" for one in found["wanted"])
    said = f"; what it most often wants to say: {tokens}" if tokens else ""
    return (
        f"No verdict on {scheme}: only {percent(found['overall']['mass']['value'], 1)} % of the model's probability "
        f"falls on the answers it may choose from{said}. Ask in other words (bapa probe --prompt), or let it write: "
        "bapa measure --generate 16"
    )
