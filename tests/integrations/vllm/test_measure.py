"""``measure`` through vLLM: the answers of transformers, under every scheme, resumed where it was left."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("vllm", reason="vLLM is not installed here; make test-vllm does that")

from bapa.checkpoints import load
from bapa.errors import ModelError, RunError
from bapa.inference.vllm import EngineAsker
from bapa.integrations.vllm import engine as engines
from bapa.integrations.vllm.loading import load_engine
from bapa.measure import measure
from bapa.probe import Design, build
from bapa.stats import Settings

SCHEMES = ["native", "bapa", "bapa:distance=62"]
QUICK = Settings(resamples=50)


@pytest.fixture(scope="module")
def probe(tmp_path_factory):
    return build("digits", tmp_path_factory.mktemp("probes") / "digits", Design(items=4))


@pytest.fixture
def engine_model(small):
    return load_engine("reference:bottom", **{**small, "max_num_batched_tokens": 512})


def test_margins_are_those_of_transformers_also_after_an_interruption(engine_model, probe, tmp_path, monkeypatch):
    expected = measure(load("reference:bottom"), probe, SCHEMES, tmp_path / "hf", audit=0, statistics=QUICK)
    ask = EngineAsker.ask

    def until_the_second_block(self, number, prepared):
        if number == 1:
            raise KeyboardInterrupt
        return ask(self, number, prepared)

    options = {"batch_size": 9, "audit": 2, "statistics": QUICK}
    monkeypatch.setattr(EngineAsker, "ask", until_the_second_block)
    with pytest.raises(KeyboardInterrupt):
        measure(engine_model, probe, SCHEMES, tmp_path / "vllm", **options)
    asked = []
    monkeypatch.setattr(EngineAsker, "ask", lambda self, *block: asked.append(block[0]) or ask(self, *block))
    found = measure(engine_model, probe, SCHEMES, tmp_path / "vllm", **options)

    assert asked == [1, 2, 3]  # all schemes in every block, the first one done before
    one, two = expected.answers(), found.answers()
    apart = ["margin", "mass", "top"]  # compared below; vLLM gives the answers' tokens alone
    pd.testing.assert_frame_equal(one.drop(columns=apart), two.drop(columns=apart))
    np.testing.assert_allclose(one["margin"], two["margin"], atol=2e-3)
    np.testing.assert_allclose(one["mass"], two["mass"], atol=1e-4)
    assert found.config["prefill"] == "engine"
    assert found.config["audit"]["flips"] == []
    assert found.config["audit"]["answers"] == 2 * 3 * 3
    assert found.config["audit"]["largest_margin_difference"] < 2e-3


def test_many_schemes_are_one_load(engine_model, probe, tmp_path, monkeypatch):
    started = []
    start = engines.start
    monkeypatch.setattr(engines, "start", lambda *given, **more: started.append(given[1]) or start(*given, **more))
    measure(engine_model, probe, SCHEMES, tmp_path / "run", items=1, audit=0, statistics=QUICK)
    assert started == ["native"]


def with_engine(model, start):
    """``model``, whose engines are what ``start`` makes."""
    own = {name: getattr(engines, name) for name in ("arguments", "check_together", "version")}
    return replace(model, engines=SimpleNamespace(start=start, stop=lambda engine: None, **own))


def test_other_tokens_of_a_prompt_end_the_run(engine_model, probe, tmp_path):
    """An engine that leaves a picture's one token as it stands, and answers all the same: nothing is measured."""
    asked = []

    def generate(requests, wanted, use_tqdm):
        asked.append(len(requests))
        return [SimpleNamespace(prompt_token_ids=one["prompt_token_ids"]) for one in requests]

    model = with_engine(engine_model, lambda *_, **__: SimpleNamespace(generate=generate))
    with pytest.raises(RunError, match="or others; measure this model with --backend hf"):
        measure(model, probe, SCHEMES, tmp_path / "run", audit=0, statistics=QUICK)
    assert asked == [1]
    assert not list((tmp_path / "run").rglob("*.parquet"))


def test_an_engine_that_does_not_start_is_started_once(engine_model, probe, tmp_path):
    started = []

    def start(*_, **__):
        started.append(1)
        raise ModelError("vLLM does not start it")

    with pytest.raises(RunError, match=r"^vLLM does not start it$"):
        measure(with_engine(engine_model, start), probe, SCHEMES, tmp_path / "run", audit=0, statistics=QUICK)
    assert len(started) == 1


def test_texts(engine_model, probe, tmp_path):
    one = measure(load("reference:bottom"), probe, ["bapa"], tmp_path / "hf", items=1, generate=4, statistics=QUICK)
    two = measure(engine_model, probe, ["bapa"], tmp_path / "vllm", items=1, generate=4, statistics=QUICK)
    pd.testing.assert_frame_equal(one.answers(), two.answers())
