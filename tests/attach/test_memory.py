"""A forward leaves no reference cycle behind that keeps a cache in memory: caches are large."""

from __future__ import annotations

import copy
import gc
import io
from collections.abc import Iterator
from typing import Any
from weakref import ref

import pytest
import torch

import bapa
from tests.attach.checks import TWO_IMAGES, generate
from tests.tiny import FAMILIES

SCHEMES = ["bapa", "bapa:layers=1", "bapa:pairs=cross", "pyramid", "sofa"]


@pytest.fixture
def no_search() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("no_search")
@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("name", ["llava", "qwen2_5_vl"])
def test_a_cache_is_gone_with_its_last_name(name: str, scheme: str) -> None:
    family = FAMILIES[name]
    model: Any = bapa.balance(family.build(), scheme)
    inputs = family.inputs(TWO_IMAGES)
    with torch.no_grad():
        out = model(**inputs, use_cache=True)
        cache = out.past_key_values
        for _ in range(3):
            out = model(input_ids=torch.tensor([[12]]), past_key_values=cache, use_cache=True)
    seen = [ref(cache), ref(cache.layers[0].keys), ref(out.logits)]
    del out, cache
    assert [one() for one in seen] == [None, None, None]


@pytest.mark.usefixtures("no_search")
@pytest.mark.parametrize("options", [{}, {"num_beams": 2}], ids=["greedy", "beams"])
@pytest.mark.parametrize("scheme", ["bapa", "bapa:pairs=cross"])
def test_so_is_that_of_a_generation(scheme: str, options: dict[str, Any]) -> None:
    family = FAMILIES["llava"]
    model = bapa.balance(family.build(), scheme)
    out = generate(model, family, family.inputs(TWO_IMAGES), **options)
    seen = ref(out.past_key_values.layers[0].keys)
    del out
    assert seen() is None


@pytest.mark.parametrize("way", ["saved", "copied"])
@pytest.mark.parametrize("scheme", ["bapa", "bapa:pairs=cross"])
def test_a_cache_can_be_saved_and_copied(scheme: str, way: str) -> None:
    family = FAMILIES["llava"]
    model: Any = bapa.balance(family.build(), scheme)
    with torch.no_grad():
        cache = model(**family.inputs([TWO_IMAGES[0], TWO_IMAGES[0]]), use_cache=True).past_key_values
        if way == "copied":
            again = copy.deepcopy(cache)
        else:
            written = io.BytesIO()
            torch.save(cache, written)
            written.seek(0)
            again = torch.load(written, weights_only=False)
        assert again.layers[0].keys.data_ptr() != cache.layers[0].keys.data_ptr()
        told = []
        for one in (cache, again):
            one.batch_select_indices(torch.tensor([1]))  # the state goes along
            told.append(model(input_ids=torch.tensor([[12]]), past_key_values=one, use_cache=True).logits)
    assert torch.equal(*told)


@pytest.mark.parametrize("scheme", ["bapa", "bapa:pairs=cross"])
def test_a_cache_stays_what_it_is(scheme: str) -> None:
    family = FAMILIES["llava"]
    native: Any = family.build()
    inputs = family.inputs(TWO_IMAGES)
    with torch.no_grad():
        before = native(**inputs, use_cache=True).past_key_values
        after, other = (bapa.balance(native, scheme)(**inputs, use_cache=True).past_key_values for _ in range(2))
    assert type(after) is type(other), "a class for each cache would fill the memory too"
    assert isinstance(after, type(before))
    assert type(after).__name__ == type(before).__name__
