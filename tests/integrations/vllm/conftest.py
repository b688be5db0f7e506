"""Engines for tests: in this process, small, with chunked prefill and prefix caching on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bapa.integrations.vllm import engine as engines
from bapa.integrations.vllm import worker

SMALL = {
    "dtype": "float32",
    "enforce_eager": True,
    "max_model_len": 512,
    "max_num_batched_tokens": 64,  # less than most prompts have, so that they come in chunks
    "max_num_seqs": 32,
    "block_size": 32,
    "enable_chunked_prefill": True,
    "enable_prefix_caching": True,
    "limit_mm_per_prompt": {"image": 2},
}


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Engine arguments that keep an engine small and in this process, with the recorder in its worker."""
    from vllm.v1.executor.uniproc_executor import UniProcExecutor

    from tests.integrations.vllm import recorder

    # In all of them: one process can extend its workers by one class only.
    monkeypatch.setattr(worker, "NAME", recorder.NAME)
    monkeypatch.setenv("VLLM_CPU_KVCACHE_SPACE", "1")
    monkeypatch.setenv("VLLM_CPU_OMP_THREADS_BIND", "nobind")
    monkeypatch.setenv("VLLM_ENABLE_V1_MULTIPROCESSING", "0")
    # On a CPU vLLM knows workers in processes of their own only, unless it is handed the executor.
    return {**SMALL, "distributed_executor_backend": type("InProcess", (UniProcExecutor,), {})}


@pytest.fixture
def started() -> Iterator[Callable[..., Any]]:
    """Starts an engine; all are stopped in the end."""
    running: list[Any] = []

    def start(folder: Path, scheme: str, options: dict[str, Any], **more: Any) -> Any:
        running.append(engines.start(folder, scheme, options, **more))
        return running[-1]

    yield start
    for engine in running:
        engines.stop(engine)
