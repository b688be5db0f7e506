"""Every check on every family; what an unpatched model fails already is skipped with its reason."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.attach import checks
from tests.tiny import FAMILIES

CHECKS = [
    checks.native_is_bit_identical,
    checks.positions_are_the_papers,
    checks.decoding_counts_on,
    checks.cached_equals_recompute,
    checks.padded_equals_alone,
    checks.padded_positions_equal_alone,
    checks.no_mask_equals_ones,
    checks.text_is_untouched,
    checks.beams_need_no_cache,
    checks.copies_are_independent,
    checks.checkpointing_gives_the_same_gradients,
]


@pytest.mark.parametrize("attn", ["sdpa", "eager"])
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("name", FAMILIES)
def test_family(name: str, check: Callable[..., None], attn: str) -> None:
    family = FAMILIES[name]
    if reason := family.skip.get(check.__name__):
        pytest.skip(f"native quirk: {reason}")
    check(family, attn)


@pytest.mark.parametrize("name", FAMILIES)
def test_eager_equals_sdpa(name: str) -> None:
    checks.eager_equals_sdpa(FAMILIES[name])
