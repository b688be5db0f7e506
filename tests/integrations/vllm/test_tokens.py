"""The same tokens from the same positions as transformers: 32 mixed prompts in one batch."""

from __future__ import annotations

import pytest

pytest.importorskip("vllm", reason="vLLM is not installed here; make test-vllm does that")

from bapa.integrations.vllm.checkpoint import readable
from tests.integrations.vllm.compare import SCHEMES, Case
from tests.integrations.vllm.every import TESTED


@pytest.fixture(scope="module", params=TESTED, ids=lambda checkpoint: checkpoint.name)
def case(request, tmp_path_factory):
    folder = request.param.save(tmp_path_factory.mktemp(request.param.name))
    return Case(request.param, folder), readable(folder, tmp_path_factory.mktemp("cache"))


@pytest.mark.parametrize("scheme", SCHEMES)
def test_mixed_batch(case, scheme, small, started):
    asked, folder = case
    found = asked.compare(started(folder, scheme, {**small, **asked.checkpoint.engine}), scheme)
    assert found.positions == found.prompts
    assert found.cached
    if asked.dtype == "float32":
        assert found.tokens == found.prompts
    else:  # rounded differently, natively as well: 23 to 25 of 32 prompts of up to 350 tokens
        assert found.tokens >= 0.6 * found.prompts
    assert found.moved == (0 if scheme == "native" else found.shown)
    # The words tell schemes apart: in half of the prompts with pictures; in a hybrid, where few layers turn, a third.
    least = found.shown / (2 if asked.dtype == "float32" else 3)
    assert found.changed == 0 if scheme == "native" else found.changed > least
    # What was promised to be on was on.
    assert found.batch > 8
    assert found.chunked
