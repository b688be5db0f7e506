"""What a server does before it answers. Needs no vLLM."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from bapa.errors import NotBalancedError
from bapa.integrations.vllm.endpoint import Endpoint
from bapa.integrations.vllm.overrides import overrides
from tests.integrations.vllm.test_overrides import config


def started(scheme: str, workers: list[str | None]) -> Endpoint:
    """The endpoint of a server under ``scheme`` whose ``workers`` say that they run under these."""
    told = config("llava")
    for name, value in overrides(told, scheme, rules=True).items():
        setattr(told, name, value)
    said: dict[str, list[Any]] = {"bapa_scheme": workers, "bapa_rules": [worker is not None for worker in workers]}

    async def collective_rpc(name: str) -> list[Any]:
        return said[name]

    processor = SimpleNamespace(process_inputs=None, process_inputs_async=None, renderer=None)
    processor.process_inputs = processor.process_inputs_async = lambda one: one
    client = SimpleNamespace(
        model_config=SimpleNamespace(hf_config=told, max_model_len=200),
        collective_rpc=collective_rpc,
        input_processor=processor,
    )
    made = Endpoint()
    asyncio.run(made.init_state(client, None, None))
    return made


@pytest.mark.parametrize("scheme", ["native", "bapa", "bapa:distance=62"])
def test_it_starts_where_all_workers_agree(scheme: str) -> None:
    made = started(scheme, [scheme, scheme])
    assert (made.scheme, made.rules) == (scheme, True)


@pytest.mark.parametrize("workers", [["bapa", "native"], ["bapa", None], ["bapa", "bapa:distance=62"], []])
def test_it_does_not_start_where_one_disagrees(workers: list[str | None]) -> None:
    with pytest.raises(NotBalancedError, match="nothing was asked"):
        started("bapa", workers)
