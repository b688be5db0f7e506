"""The one table of quantities: what each column of ``bias.json`` is called, means, and what more or less of it is."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Quantity:
    """``key``: in ``bias.json``; ``name``: as a heading; ``short``: where there is little room; ``up``, ``down``: what
    a scheme is that has more or less of it, empty where schemes are not compared by it.
    """

    key: str
    name: str
    meaning: str
    short: str = ""
    up: str = ""
    down: str = ""

    @property
    def spoken(self) -> str:
        """The name inside a sentence."""
        return self.name if self.name.isupper() else self.name[:1].lower() + self.name[1:]


# Of one cell.
CELLS = (
    Quantity("auc", "AUC", "how well the margin tells present from absent, whatever the threshold; guessing gives 50"),
    Quantity("hit", "Hit rate", "asked about what is there: how often the answer is yes"),
    Quantity(
        "balanced_accuracy",
        "Balanced accuracy",
        "mean of the hit rate and of the rate of right refusals; guessing gives 50",
    ),
    Quantity("false_alarm", "False alarms", "asked about what is not there: how often the answer is yes all the same"),
)

_RANGE = (
    "best cell minus worst cell in points; cells picked on one half of the items, measured on the other: free of the "
    "chance that makes any best minus worst positive"
)
_AUC = "present told from absent, whatever the threshold; guessing gives 50"
_ALMOST = "yes to something almost there, e.g. the right digit in the wrong colour"
_FLIP = "chance that moving the content from one cell to another flips the answer"

# Over all cells, in the order of tables.
OVERALL = (
    Quantity("auc", "Mean AUC", _AUC, "AUC", "better", "worse"),
    Quantity("auc_range", "Range of the AUC", _RANGE, "range", "more uneven", "more even"),
    Quantity("auc_worst_cell", "Worst cell, AUC", "likewise", "worst", "better", "worse"),
    Quantity("hit", "Mean hit rate", "over all cells", "hits", "higher", "lower"),
    Quantity("range", "Range of the hit rate", _RANGE, "range", "more uneven", "more even"),
    Quantity("worst_cell", "Worst cell, hit rate", "likewise", "worst", "higher", "lower"),
    Quantity(
        "consistency",
        "Consistency",
        "items with the same answer in all cells",
        up="more consistent",
        down="less consistent",
    ),
    Quantity("flip_rate", "Flip rate", _FLIP),
    Quantity("false_alarm", "False alarms", "yes to what is not there", "false al.", "more", "fewer"),
    Quantity("near_miss", "Near misses taken", _ALMOST),
    Quantity("absent", "Strangers taken", "yes to something unlike anything shown"),
    Quantity("balanced_accuracy", "Balanced accuracy", "hits and right refusals, averaged", up="better", down="worse"),
    Quantity("mass", "Answer mass", "probability that the model gave to the answers it may choose from", "mass"),
)


def cell(key: str) -> Quantity:
    """The quantity of one cell."""
    return next(quantity for quantity in CELLS if quantity.key == key)


def overall(key: str) -> Quantity:
    """The quantity over all cells."""
    return next(quantity for quantity in OVERALL if quantity.key == key)


def spoken(keys: Iterable[str]) -> dict[str, str]:
    """The names over all cells inside a sentence, by key."""
    return {key: overall(key).spoken for key in keys}
