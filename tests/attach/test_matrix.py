"""Every check on every family; what an unpatched model fails already is skipped with its reason."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.attach import checks, placing
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
# Of the positions or the hooks alone, which no kind of attention changes.
OF_POSITIONS = [
    placing.gaps_count_for_nothing,
    placing.chunks_of_every_size,
    placing.touching_pictures_are_two,
    placing.an_image_at_the_end,
    placing.threads_do_not_meet,
]
# Compiling takes about ten seconds a family: these in every run, the others under `make slow`.
COMPILED = {
    "gemma3",
    "llava",
    "qwen2_5_vl",
    "qwen3_5",
}


@pytest.mark.parametrize("attn", ["sdpa", "eager"])
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("name", FAMILIES)
def test_family(name: str, check: Callable[..., None], attn: str) -> None:
    family = FAMILIES[name]
    if reason := family.skip.get(check.__name__):
        pytest.skip(f"native quirk: {reason}")
    check(family, attn)


@pytest.mark.parametrize("check", OF_POSITIONS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("name", FAMILIES)
def test_family_positions(name: str, check: Callable[..., None]) -> None:
    test_family(name, check, "sdpa")


@pytest.mark.timeout(900)  # compiling takes a minute where other work runs beside it
@pytest.mark.parametrize(
    "name", [name if name in COMPILED else pytest.param(name, marks=pytest.mark.slow) for name in FAMILIES]
)
def test_compiled_before_it_is_balanced(name: str) -> None:
    test_family(name, placing.compiled_before_it_is_balanced, "sdpa")


def test_the_families_that_are_always_compiled_exist() -> None:
    assert set(FAMILIES) >= COMPILED


@pytest.mark.parametrize("name", FAMILIES)
def test_eager_equals_sdpa(name: str) -> None:
    if reason := FAMILIES[name].skip.get("eager_equals_sdpa"):
        pytest.skip(f"native quirk: {reason}")
    checks.eager_equals_sdpa(FAMILIES[name])
