"""Writes docs/families.md: every check of the test matrix run on every tiny family. ``make families`` runs it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import transformers
from rich.progress import track

import bapa
from bapa.errors import UnsupportedModelError
from bapa.families.anatomy import find
from tests.attach import checks
from tests.attach.test_matrix import CHECKS
from tests.tiny import FAMILIES, Family
from tests.tiny.base import OLDER
from tests.tiny.older import LEFT_OUT
from tests.tiny.unsupported import UNSUPPORTED

PAGE = Path(__file__).with_name("families-457.md" if OLDER else "families.md")

HEAD = """# Families

Which vision-language families of transformers `bapa.balance` was run on, and what held. Written by `make families`,
with transformers {version}: tiny models with random weights of the real classes, real vision towers, inputs as the
family's processor writes them, float32 on the CPU, scaled dot product attention (and eager, in the last column).

✓ the check holds under BaPA · **n** the unpatched model fails it already, for the reason below · ✗ fails

What one image is: a picture with all its tiles and rows (`scope="image"`, the default). Tags between tiles, row breaks,
begin and end of an image are text and count on. Where a video comes as one run of tokens it is one image; where it
comes frame by frame with time stamps between, each frame is one.

"""


def verdict(check: Callable[..., None], family: Family) -> str:
    """How a family fares in a check, as a mark."""
    if check.__name__ in family.skip:
        return "**n**"
    try:
        check(family, "sdpa") if check is not checks.eager_equals_sdpa else check(family)
    except AssertionError:
        return "✗"
    return "✓"


def words(check: Callable[..., None]) -> str:
    """What a check says, from its name."""
    return check.__name__.replace("_", " ")


def lines() -> Iterator[str]:
    """The page below its head."""
    every = [*CHECKS, checks.eager_equals_sdpa]
    yield "| family | axes | " + " | ".join(map(words, every)) + " |"
    yield "|---|---|" + ":-:|" * len(every)
    for name, family in track(FAMILIES.items(), "families"):
        axes = find(family.build()).axes
        yield f"| {name} | {axes} | " + " | ".join(verdict(check, family) for check in every) + " |"
    yield "\n## What fails natively\n"
    for name, family in FAMILIES.items():
        for check, reason in family.skip.items():
            yield f"- **{name}**, {check.replace('_', ' ')}: {reason}"
    if OLDER:
        yield "\n## What is left out\n"
        yield "Families of this release that its tiny models do not cover:\n"
        yield from (f"- **{name}**: {reason}" for name, reason in LEFT_OUT.items())
        return
    yield "\n## What cannot be balanced\n"
    yield "The error says why:\n"
    for name, case in UNSUPPORTED.items():
        try:
            bapa.balance(case.build())
        except UnsupportedModelError as error:
            yield f"- **{name}**: " + re.sub(r"([_*<>])", r"\\\1", str(error))


if __name__ == "__main__":
    PAGE.write_text(HEAD.format(version=transformers.__version__) + "\n".join(lines()) + "\n", encoding="utf-8")
    print(PAGE)
