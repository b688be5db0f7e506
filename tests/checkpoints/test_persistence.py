"""A scheme survives saving and loading: in the config of a model, in the folder of an adapter."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from transformers import AutoModelForImageTextToText

import bapa
from bapa.checkpoints import load
from bapa.checkpoints.adapter import load_adapter, save_adapter
from bapa.errors import ConfigError, ModelError, SchemeError
from bapa.schemes import parse
from tests.attach.checks import TWO_IMAGES, close, logits, same
from tests.tiny import FAMILIES

LLAVA = FAMILIES["llava"]


RULES = ["bapa", "bapa:distance=2.5", "bapa:distance=native", "stride:delta=0.25", "anchored", "anchored:rule=edvt"]
CALIBRATED = ["calibrated:distance=41,delta=0.3", "calibrated:distance=0.7x,delta=0.25,about=start"]


@pytest.mark.parametrize("scheme", RULES + CALIBRATED)
@pytest.mark.parametrize("name", ["llava", "qwen2_5_vl", "gemma3"])
def test_reloaded_equals_live(name: str, scheme: str, tmp_path: Path) -> None:
    family = FAMILIES[name]
    model, inputs = family.build(), family.inputs(TWO_IMAGES)
    native = logits(model, inputs)
    bapa.balance(model, scheme).save_pretrained(tmp_path)
    again = bapa.from_pretrained(tmp_path, attn_implementation="sdpa").eval()
    assert bapa.scheme_of(again) == parse(scheme)
    same(logits(again, inputs), logits(model, inputs))
    plain = AutoModelForImageTextToText.from_pretrained(tmp_path, attn_implementation="sdpa").eval()
    same(logits(plain, inputs), native)
    assert plain.config.bapa["scheme"] == scheme.partition(":")[0], "the record is there for everyone to read"


def test_a_restored_model_saves_no_record(tmp_path: Path) -> None:
    bapa.restore(bapa.balance(LLAVA.build())).save_pretrained(tmp_path)
    assert "bapa" not in json.loads((tmp_path / "config.json").read_text())
    assert bapa.scheme_of(bapa.from_pretrained(tmp_path)) is None


def test_the_switch_of_the_paper_is_understood(tmp_path: Path) -> None:
    model = LLAVA.build()
    model.config.position_balance = True
    model.save_pretrained(tmp_path)
    assert bapa.scheme_of(bapa.from_pretrained(tmp_path)).label == "bapa"


def test_a_record_from_elsewhere_is_an_error(tmp_path: Path) -> None:
    model = LLAVA.build()
    model.config.bapa = {"scheme": "bapa", "version": 99}
    model.save_pretrained(tmp_path)
    with pytest.raises(SchemeError, match=r"config.bapa is .*99.*'version': 1"):
        bapa.from_pretrained(tmp_path)


def test_an_adapter_carries_its_scheme(tmp_path: Path) -> None:
    peft = pytest.importorskip("peft")
    config = peft.LoraConfig(r=2, target_modules=r".*language_model.*q_proj", init_lora_weights=False)
    inputs = LLAVA.inputs(TWO_IMAGES)
    tuned = peft.get_peft_model(bapa.balance(LLAVA.build(), "bapa:distance=5"), config).eval()
    save_adapter(tuned, tmp_path)
    again = load_adapter(bapa.balance(LLAVA.build(), "bapa:distance=5"), tmp_path).eval()
    close(logits(again, inputs), logits(tuned, inputs))
    with pytest.raises(
        SchemeError, match=r"trained under bapa:distance=5, the model runs under native; call bapa.balance"
    ):
        load_adapter(LLAVA.build(), tmp_path)
    (tmp_path / "bapa.json").unlink()
    with pytest.raises(SchemeError, match=r"no bapa\.json"):
        load_adapter(LLAVA.build(), tmp_path)


def test_errors_of_loading(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"no config.json in it"):
        load(str(tmp_path))
    with pytest.raises(ConfigError, match="unknown reference model"):
        load("reference:sideways")
