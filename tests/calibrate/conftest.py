"""A model that knows names, for what is fitted on words and on pictures."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from bapa.calibrate.words.names import NAMES
from studies.reference import build


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model with random weights whose tokenizer knows eighty of the names."""
    path = tmp_path_factory.mktemp("reads") / "model"
    with pytest.MonkeyPatch.context() as patch, torch.random.fork_rng():
        patch.setattr(build, "WORDS", (*build.WORDS, *NAMES[:80]))
        torch.manual_seed(0)
        build.model().save_pretrained(path)
        build.processor().save_pretrained(path)
    return path
