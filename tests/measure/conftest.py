"""A small probe, and the reference model's architecture with random weights."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from bapa.checkpoints import Loaded, load
from bapa.measure import Run, measure
from bapa.probe import Design, Probe, build
from bapa.stats import Settings

QUICK = Settings(resamples=50)


def measured(tiny, probe, out, schemes=("native", "bapa"), **options) -> Run:
    return measure(tiny, probe, schemes, out, **{"audit": 0, "statistics": QUICK, **options})


@pytest.fixture(scope="session")
def model_path(tmp_path_factory) -> Path:
    from studies.reference.build import model, processor

    path = tmp_path_factory.mktemp("model")
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(0)
        random = model()
    random.save_pretrained(path)
    processor().save_pretrained(path)
    return path


@pytest.fixture(scope="session")
def probe(tmp_path_factory) -> Probe:
    return build("digits", tmp_path_factory.mktemp("probes") / "digits", Design(items=4))


@pytest.fixture
def tiny(model_path) -> Loaded:
    return load(str(model_path))


@pytest.fixture(scope="module")
def run(model_path, probe, tmp_path_factory) -> Run:
    return measured(load(str(model_path)), probe, tmp_path_factory.mktemp("run"), audit=5)
