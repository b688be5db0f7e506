"""Models that write nothing: ShieldGemma 2 classifies by the next token, and holds a Gemma 3."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from bapa.families.pictures import Reader
from bapa.layout import Layout
from tests.attach import checks
from tests.tiny import CLASSIFIERS

# Of the matrix, those that ask for no written tokens; padding by the answers, as there are no logits of every token.
CHECKS = [
    checks.native_is_bit_identical,
    checks.positions_are_the_papers,
    checks.padded_answers_equal_alone,
    checks.no_mask_equals_ones,
    checks.text_is_untouched,
    checks.copies_are_independent,
    checks.checkpointing_gives_the_same_gradients,
]


@pytest.mark.parametrize("attn", ["sdpa", "eager"])
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("name", CLASSIFIERS)
def test_classifier(name: str, check: Callable[..., None], attn: str) -> None:
    if reason := CLASSIFIERS[name].skip.get(check.__name__):
        pytest.skip(f"native quirk: {reason}")
    check(CLASSIFIERS[name], attn)


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_eager_equals_sdpa(name: str) -> None:
    checks.eager_equals_sdpa(CLASSIFIERS[name])


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_rows_that_get_the_images_of_others_are_caught(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    read = Reader.read

    def swapped(self: Reader, *call: Any, **known: Any) -> Layout | None:
        found = read(self, *call, **known)
        return None if found is None else replace(found, number=found.number.roll(1, 0))

    monkeypatch.setattr(Reader, "read", swapped)
    with pytest.raises(AssertionError):
        checks.padded_answers_equal_alone(CLASSIFIERS[name], "sdpa")
