"""``measure`` through vLLM: the answers of transformers, under every scheme, resumed where it was left."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("vllm", reason="vLLM is not installed here; make test-vllm does that")

from bapa.checkpoints import load
from bapa.inference.vllm import EngineAsker
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

    def until_the_second_scheme(self, number, prepared):
        if self.part(number)[1] == ["bapa"]:
            raise KeyboardInterrupt
        return ask(self, number, prepared)

    options = {"batch_size": 9, "audit": 2, "statistics": QUICK}
    monkeypatch.setattr(EngineAsker, "ask", until_the_second_scheme)
    with pytest.raises(KeyboardInterrupt):
        measure(engine_model, probe, SCHEMES, tmp_path / "vllm", **options)
    asked = []
    monkeypatch.setattr(EngineAsker, "ask", lambda self, *block: asked.append(block[0]) or ask(self, *block))
    found = measure(engine_model, probe, SCHEMES, tmp_path / "vllm", **options)

    assert asked == list(range(4, 12))  # four blocks for each scheme, those of the first done before
    one, two = expected.answers(), found.answers()
    pd.testing.assert_frame_equal(one.drop(columns=["margin", "mass"]), two.drop(columns=["margin", "mass"]))
    np.testing.assert_allclose(one["margin"], two["margin"], atol=2e-3)
    np.testing.assert_allclose(one["mass"], two["mass"], atol=1e-4)
    assert found.config["prefill"] == "engine"
    assert found.config["audit"]["flips"] == []
    assert found.config["audit"]["answers"] == 2 * 3 * 3
    assert found.config["audit"]["largest_margin_difference"] < 2e-3


def test_texts(engine_model, probe, tmp_path):
    one = measure(load("reference:bottom"), probe, ["bapa"], tmp_path / "hf", items=1, generate=4, statistics=QUICK)
    two = measure(engine_model, probe, ["bapa"], tmp_path / "vllm", items=1, generate=4, statistics=QUICK)
    pd.testing.assert_frame_equal(one.answers(), two.answers())
