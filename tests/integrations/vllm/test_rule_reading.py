"""The rule that a request names: what is taken, what is refused, what it does to the cache's salt. Needs no vLLM."""

from __future__ import annotations

import gc
import weakref
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from bapa.errors import IntegrationError, ModelError, SchemeError
from bapa.integrations.vllm import engine
from bapa.integrations.vllm.rules import KEPT, Rules, admit, salt
from bapa.layout import Image
from bapa.schemes import NATIVE, parse
from tests.integrations.vllm.test_overrides import config


@pytest.fixture(scope="module")
def rules() -> Rules:
    return Rules(config("llava"), parse("bapa"), longest=200)


def request(rule: object, *lengths: int, given: str | None = None) -> Any:
    features = [SimpleNamespace(mm_position=SimpleNamespace(get_num_embeds=lambda n=n: n)) for n in lengths]
    named = SimpleNamespace(extra_args=None if rule is None else {"bapa": rule})
    return SimpleNamespace(sampling_params=named, mm_features=features or None, cache_salt=given)


def salted(rules: Rules, *asked: Any) -> list[str | None]:
    """The salts of requests behind a front end that reads their rules."""
    processor = SimpleNamespace(process_inputs=lambda one: one, process_inputs_async=lambda one: one, renderer=None)
    admit(processor, rules)
    return [processor.process_inputs(one).cache_salt for one in asked]


def test_a_request_runs_under_the_rule_it_names(rules):
    assert rules.read(None) == parse("bapa")
    assert rules.read("native") == NATIVE
    assert rules.read("bapa:distance=62") == parse("bapa:distance=62")


@pytest.mark.parametrize(
    ("label", "says"),
    [
        ("bapas", "unknown scheme"),
        ({"scheme": "bapa"}, "is no text"),
        ("vrope", "use --backend hf"),
        ("spatial_reset", "3 rotary axes"),
    ],
)
def test_what_cannot_be_run_is_refused(rules, label, says):
    with pytest.raises(SchemeError, match=says):
        rules.read(label)


def test_only_what_stays_inside_the_table_is_taken(rules):
    rules.fits(parse("bapa:distance=62"), [36, 36])
    rules.fits(NATIVE, [10_000])
    with pytest.raises(ModelError, match="positions 0 to 511"):
        rules.fits(parse("bapa:distance=400"), [36])


def test_the_bound_is_no_lower_than_what_is_reached(rules):
    for label in ("bapa", "bapa:distance=300", "reverse", "stride:delta=2", "shuffle"):
        scheme = parse(label)
        placed = scheme.place(Image(torch.arange(36)))
        reach = 200 - 36 + int(max(placed.resume.max(), placed.offsets.max() + 1))
        own = Rules(config("llava"), NATIVE, longest=200)
        own.of(scheme).table = reach
        own.fits(scheme, [36])
        own.of(scheme).table = reach - 1
        with pytest.raises(ModelError):
            own.fits(scheme, [36])


def test_rules_never_share_a_salt(rules):
    named = [None, "native", "bapa:distance=62", "reverse"]
    found = salted(rules, *(request(rule, 36) for rule in named))
    assert len({*found}) == len(named)
    assert salted(rules, request("bapa", 36)) == found[:1]  # the engine's own rule, named or not


def test_a_salt_of_the_request_itself_is_kept_apart(rules):
    one, two = salted(rules, request("bapa", 36, given="a"), request("bapa", 36, given="b"))
    assert one != two
    assert salt(parse("bapa"), "x") != salt(parse("native"), "x")


def test_text_alone_needs_no_salt(rules):
    assert salted(rules, request("native"), request(None)) == [None, None]


def test_a_scheme_that_needs_an_engine_of_its_own_is_told_before_one_starts(tmp_path):
    config("qwen2_5_vl").save_pretrained(tmp_path)
    engine.check_together(tmp_path, ["native", "bapa", "bapa:distance=62"])
    with pytest.raises(SchemeError, match="diagonal reaches before its image"):
        engine.check_together(tmp_path, ["native", "diagonal"])


def test_another_front_end_is_refused():
    with pytest.raises(IntegrationError, match="no process_inputs"):
        admit(SimpleNamespace(), None)


def test_rules_are_forgotten_and_made_again(rules):
    first = rules.of(parse("bapa:distance=2"))
    made = [weakref.ref(rules.of(parse(f"bapa:distance={number}"))) for number in range(3, 3 + 2 * KEPT)]
    gc.collect()
    assert sum(one() is not None for one in made) <= KEPT
    assert first.scheme == rules.of(parse("bapa:distance=2")).scheme  # who holds one goes on with it
    for number in range(KEPT):  # what is named between others stays
        rules.of(parse("reverse"))
        rules.of(parse(f"bapa:distance={number + 1000}"))
    asked = rules.of.cache_info().misses
    rules.of(parse("reverse"))
    assert rules.of.cache_info().misses == asked
