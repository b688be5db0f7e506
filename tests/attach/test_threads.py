"""Threads, compiled models, caches that are moved about, default devices: nobody gets what belongs to another."""

from __future__ import annotations

import ast
import gc
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any
from weakref import ref

import pytest
import torch
from transformers import DynamicCache
from transformers.generation.configuration_utils import CompileConfig

import bapa
from bapa.attach import state
from bapa.errors import ModelError
from bapa.families.anatomy import find
from tests.attach.checks import close, generate, logits, same, seen
from tests.tiny import FAMILIES
from tests.tiny.base import OLDER

LLAVA, QWEN = FAMILIES["llava"], FAMILIES["qwen2_5_vl"]
ROOT = Path(bapa.__file__).parent


@pytest.mark.parametrize("name", ["llava", "qwen2_5_vl"])
def test_a_compiled_model_serves_two_threads(name: str) -> None:
    family = FAMILIES[name]
    prompts = [family.inputs([words]) for words in (["t3", "image", "t6"], ["t7", "image", "t2"])]
    torch._dynamo.reset()
    model = bapa.balance(family.build())
    compiled, wanted = torch.compile(model, backend="eager"), [logits(model, inputs) for inputs in prompts]
    failures: list[BaseException] = []

    def work(k: int) -> None:
        try:
            for _ in range(10):
                close(logits(compiled, prompts[k]), wanted[k])
        except BaseException as failure:
            failures.append(failure)

    for inputs in prompts:
        logits(compiled, inputs)
    threads = [threading.Thread(target=work, args=(k,)) for k in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures, failures


@pytest.mark.skipif(OLDER, reason="the options of compiled generation are those of transformers 5")
@pytest.mark.parametrize("name", ["llava", "qwen2_5_vl"])
def test_a_model_compiled_natively_is_balanced_in_prefill_and_decode(name: str) -> None:
    family = FAMILIES[name]
    config = CompileConfig(backend="eager", mode=None)
    config._compile_all_devices = True
    options: dict[str, Any] = {"cache_implementation": "static", "compile_config": config}
    torch._dynamo.reset()
    model, inputs = family.build(), family.inputs([["t3", "image", "t4"]])
    native = generate(model, family, inputs, **options)
    bapa.balance(model)
    balanced = generate(model, family, inputs, **options)
    close(torch.stack(balanced.logits), torch.stack(generate(model, family, inputs).logits))
    bapa.restore(model)
    close(torch.stack(generate(model, family, inputs, **options).logits), torch.stack(native.logits))


def test_what_would_freeze_positions_is_refused() -> None:
    model, inputs = bapa.balance(LLAVA.build()), LLAVA.inputs([["t3", "image", "t4"]])
    with pytest.raises(ModelError, match=r"cannot be part of a graph; trace or export the restored model"):
        torch.jit.trace(lambda ids, pixels: model(input_ids=ids, pixel_values=pixels).logits, _two(inputs))
    with pytest.raises(Exception, match="cannot be part of a graph"):
        torch.export.export(model, (), dict(inputs), strict=False)
    torch._dynamo.reset()
    with pytest.raises(Exception, match="cannot be part of a graph"):
        torch.compile(model, backend="eager", fullgraph=True)(**inputs)


def _two(inputs: dict[str, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
    return inputs["input_ids"], inputs["pixel_values"]


def test_positions_only_looks() -> None:
    model, inputs = bapa.balance(QWEN.build()), QWEN.inputs([["t3", "image", "t4"]])
    other = QWEN.inputs([["t1", "wide", "t1", "image", "t9"]])
    with torch.no_grad():
        cache = model(**inputs, use_cache=True).past_key_values
    held = model.model.rope_deltas.clone()
    bapa.positions(model, **other)
    same(model.model.rope_deltas, held)
    if OLDER:  # which counts a cached token from zero where it is not told its place
        return
    with torch.no_grad(), seen(model) as record:
        model(input_ids=torch.tensor([[5]]), past_key_values=cache)
    assert record[-1].unique().tolist() == [int(bapa.positions(model, **inputs).max()) + 1]


def step(model: Any, cache: Any, rows: int) -> list[int]:
    with torch.no_grad(), seen(model) as record:
        model(input_ids=torch.full((rows, 1), 5), past_key_values=cache, use_cache=True)
    return [int(place) for place in record[0][0].flatten()]


def test_rows_that_a_cache_moves_keep_their_positions() -> None:
    family = LLAVA
    model, batch = (
        bapa.balance(family.build(), "bapa:distance=2"),
        family.inputs([["t3", "image", "t9"], ["t2", "image", "image", "t1"]]),
    )
    at = bapa.positions(model, **batch)[0, :, -1] + 1
    first, second = (int(place) for place in at)
    assert first != second, "the rows are alike: the check could not fail"

    def filled() -> Any:
        cache = DynamicCache(config=model.config.get_text_config())
        with torch.no_grad():
            model(**batch, past_key_values=cache, use_cache=True)
        return cache

    cache = filled()
    cache.reorder_cache(torch.tensor([1, 0]))
    assert step(model, cache, 2) == [second, first]
    cache = filled()
    cache.batch_select_indices(torch.tensor([1]))
    assert step(model, cache, 1) == [second]
    cache = filled()
    cache.reorder_cache(torch.tensor([1, 1]))
    cache.batch_repeat_interleave(2)
    assert step(model, cache, 4) == [second] * 4


@pytest.mark.parametrize("other", ["null", "null:k=3", "agci", "bapa:distance=2", "native"])
def test_a_live_cache_goes_on_under_its_own_scheme_only(other: str) -> None:
    model, inputs = bapa.balance(LLAVA.build()), LLAVA.inputs([["t3", "image", "t4"]])
    with torch.no_grad():
        cache = model(**inputs, use_cache=True).past_key_values
    wanted = step(model, cache, 1)
    bapa.balance(model, other)
    with pytest.raises(ModelError, match=r"the cache was filled under bapa, "):
        step(model, cache, 1)
    bapa.balance(model)
    assert step(model, cache, 1) == [wanted[0] + 1]


@pytest.mark.parametrize("scheme", ["null:k=3", "agci"])
def test_a_cache_filled_natively_is_refused_by_every_scheme(scheme: str) -> None:
    model, inputs = LLAVA.build(), LLAVA.inputs([["t3", "image", "t4"]])
    with torch.no_grad():
        cache = model(**inputs, use_cache=True).past_key_values
    with pytest.raises(ModelError, match="filled before the model was balanced"):
        step(bapa.balance(model, scheme), cache, 1)


def test_states_are_shared_by_copies_of_a_cache() -> None:
    import copy

    model, inputs = bapa.balance(LLAVA.build()), LLAVA.inputs([["t3", "image", "t4"]])
    with torch.no_grad():
        cache = model(**inputs, use_cache=True).past_key_values
    twin = copy.deepcopy(cache)
    assert step(model, cache, 1) == step(model, twin, 1)
    assert state.of(twin) is state.of(cache)
    bapa.restore(model)
    with pytest.raises(ModelError, match="no longer on the model"):
        step(model, twin, 1)


@pytest.mark.parametrize("scheme", ["pyramid", "circle", "vrope", "bapa:image_attention=bidirectional"])
def test_nothing_lives_on_after_a_forward_with_gradients(scheme: str) -> None:
    family = QWEN if scheme == "circle" else LLAVA
    model, inputs = bapa.balance(family.build(), scheme), family.inputs([["t3", "image", "t4"]])
    kept: list[Callable[[], object]] = []
    for rotary in find(model).rotaries:
        rotary.register_forward_hook(lambda module, args, output: kept.append(ref(output[0])))
    gc.collect()
    gc.disable()
    try:
        model(**inputs, use_cache=False).logits.sum().backward()
        assert kept, "no embedding was seen: the check could not fail"
        assert not any(cosine() is not None for cosine in kept)
    finally:
        gc.enable()


def test_default_devices_and_dtypes_change_nothing() -> None:
    inputs = LLAVA.inputs([["t3", "image", "t4"]])
    for scheme in (
        "bapa:distance=2.5",
        "calibrated:distance=0.6x,delta=0.5",
        "concentric",
        "vrope",
        "stride",
        "shuffle",
    ):
        model = bapa.balance(LLAVA.build(), scheme)
        wanted = bapa.positions(model, **inputs)
        torch.set_default_dtype(torch.bfloat16)
        try:
            with torch.device("meta"):
                same(bapa.positions(model, **inputs), wanted)
        finally:
            torch.set_default_dtype(torch.float32)


MAKERS = {"arange", "empty", "eye", "full", "linspace", "ones", "rand", "randint", "randn", "tensor", "zeros"}


@pytest.mark.parametrize("room", ["layout.py", "attach", "families", "schemes"])
def test_every_tensor_that_is_made_names_its_device_and_dtype(room: str) -> None:
    files = [ROOT / room] if room.endswith(".py") else sorted((ROOT / room).glob("*.py"))
    unnamed = [
        f"{file.name}:{node.lineno}"
        for file in files
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and getattr(node.func.value, "id", "") == "torch"
        and node.func.attr in MAKERS
        and not {"device", "dtype"} <= {keyword.arg for keyword in node.keywords}
    ]
    assert not unnamed
