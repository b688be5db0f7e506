"""Runs every check of the test matrix on every tiny family: ``make families``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import transformers
import typer
from rich.progress import track

import bapa
from bapa.errors import UnsupportedModelError
from bapa.families.anatomy import find
from studies.families.page import STUDY
from tests.attach import checks
from tests.attach.test_classifier import CHECKS as OF_CLASSIFIERS
from tests.attach.test_matrix import CHECKS
from tests.tiny import CLASSIFIERS, FAMILIES, Family
from tests.tiny.base import OLDER
from tests.tiny.older import LEFT_OUT
from tests.tiny.unsupported import UNSUPPORTED

Check = Callable[..., None]


def run(
    names: Annotated[list[str] | None, typer.Argument(help="Families to run; the others keep their marks.")] = None,
) -> None:
    """Run every check on every family under the installed transformers, and keep the marks in the record."""
    every: list[Check] = [*CHECKS, checks.eager_equals_sdpa]
    release = "4.57" if OLDER else "5"
    kept = STUDY.record()[release] if names else {"matrix": {}, "others": {}}
    if names and kept["transformers"] != transformers.__version__:
        raise typer.BadParameter(f"the record is of transformers {kept['transformers']}; run all families")
    found = {
        "transformers": transformers.__version__,
        "checks": [words(check) for check in every],
        "matrix": kept["matrix"]
        | {
            name: {"axes": find(family.build()).axes, "marks": [mark(check, family) for check in every]}
            for name, family in track(FAMILIES.items(), "families")
            if not names or name in names
        },
        "native": [
            [name, check.replace("_", " "), reason]
            for name, family in (FAMILIES | CLASSIFIERS).items()
            for check, reason in family.skip.items()
        ],
        "classifiers": {name: classified(family) for name, family in CLASSIFIERS.items()},
        "others": kept["others"] if names else dict(LEFT_OUT) if OLDER else refused(),
    }
    STUDY.keep(STUDY.record() | {release: found})


def mark(check: Check, family: Family) -> str:
    """How a family fares in a check."""
    if check.__name__ in family.skip:
        return "**n**"
    try:
        check(family, "sdpa") if check is not checks.eager_equals_sdpa else check(family)
    except AssertionError:
        return "✗"
    return "✓"


def classified(family: Family) -> dict[str, Any]:
    """How a model that writes nothing fares in the checks that do not ask for written tokens."""
    checked: list[Check] = [*OF_CLASSIFIERS, checks.eager_equals_sdpa]
    return {"model": family.model_class, "marks": {words(check): mark(check, family) for check in checked}}


def words(check: Check) -> str:
    """What a check says, from its name."""
    return check.__name__.replace("_", " ")


def refused() -> dict[str, Any]:
    """Why the models that cannot be balanced cannot."""
    reasons = {}
    for name, case in UNSUPPORTED.items():
        try:
            bapa.balance(case.build())
        except UnsupportedModelError as error:
            reasons[name] = str(error)
    return reasons
