"""What ``balanced`` and ``restore`` leave behind: the model, and the record in its config, as they were."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from transformers import AutoModelForImageTextToText

import bapa
import bapa.errors
from tests.attach.checks import TWO_IMAGES, hook_count, logits, same
from tests.tiny import FAMILIES

LLAVA = FAMILIES["llava"]


@pytest.mark.parametrize("value", [True, False])
def test_restore_erases_the_switch_of_the_paper_too(value: bool, tmp_path: Path) -> None:
    model = LLAVA.build()
    model.config.position_balance = value
    model.save_pretrained(tmp_path / "switched")
    loaded = bapa.from_pretrained(tmp_path / "switched")
    assert (bapa.scheme_of(loaded) is not None) == value
    bapa.restore(loaded).save_pretrained(tmp_path / "restored")
    assert bapa.scheme_of(bapa.from_pretrained(tmp_path / "restored")) is None
    assert "position_balance" not in json.loads((tmp_path / "restored" / "config.json").read_text())


def test_another_scheme_replaces_the_switch_of_the_paper() -> None:
    model = LLAVA.build()
    model.config.position_balance = True
    bapa.balance(model, "stride")
    assert not hasattr(model.config, "position_balance")
    assert model.config.bapa["scheme"] == "stride"


@pytest.mark.parametrize("inside", ["native", "bapa"])
def test_a_block_leaves_the_record_of_a_plainly_loaded_model(inside: str, tmp_path: Path) -> None:
    bapa.balance(LLAVA.build(), distance=3).save_pretrained(tmp_path)
    plain = AutoModelForImageTextToText.from_pretrained(tmp_path)
    before = dict(plain.config.bapa)
    with bapa.balanced(plain, inside):
        assert str(bapa.scheme_of(plain) or "native") == inside
    assert plain.config.bapa == before
    assert bapa.scheme_of(plain) is None
    switched = LLAVA.build()
    switched.config.position_balance = True
    with bapa.balanced(switched, inside):
        assert str(bapa.scheme_of(switched) or "native") == inside
    assert switched.config.position_balance is True
    assert not hasattr(switched.config, "bapa")


@pytest.mark.parametrize("before", ["native", "stride"])
@pytest.mark.parametrize("ends", [(0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0)])
def test_blocks_that_end_in_any_order_leave_the_model_as_it_was(before: str, ends: tuple[int, ...]) -> None:
    model, inputs = bapa.balance(LLAVA.build(), before), LLAVA.inputs(TWO_IMAGES)
    wanted, hooks = logits(model, inputs), hook_count(model)
    schemes = ["bapa", "bapa:distance=7", "native"]
    blocks = [bapa.balanced(model, scheme) for scheme in schemes]
    for block in blocks:
        block.__enter__()
    running = dict(enumerate(schemes))
    for number in ends:
        blocks[number].__exit__(None, None, None)
        del running[number]
        latest = running[max(running)] if running else before
        assert str(bapa.scheme_of(model) or "native") == latest
    same(logits(model, inputs), wanted)
    assert hook_count(model) == hooks
    assert hasattr(model.config, "bapa") == (before != "native")


def test_requests_that_overlap_leave_the_model_as_it_was() -> None:
    model, inputs = LLAVA.build(), LLAVA.inputs(TWO_IMAGES)
    native = logits(model, inputs)

    async def ask(scheme: str, start: float, length: float) -> None:
        await asyncio.sleep(start)
        with bapa.balanced(model, scheme):
            await asyncio.sleep(length)

    async def serve() -> None:
        await asyncio.gather(ask("bapa", 0, 0.1), ask("null", 0.05, 0.1))

    asyncio.run(serve())
    assert bapa.scheme_of(model) is None
    same(logits(model, inputs), native)


def test_an_error_inside_a_block_ends_it() -> None:
    model = LLAVA.build()
    with pytest.raises(KeyError), bapa.balanced(model, "bapa"):
        raise KeyError
    assert bapa.scheme_of(model) is None
    with pytest.raises(bapa.errors.SchemeError), bapa.balanced(model, "no such scheme"):
        pytest.fail("the block was entered")
    assert bapa.scheme_of(model) is None
