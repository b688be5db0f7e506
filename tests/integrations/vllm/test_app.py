"""The guard in vLLM's own application, without an engine: its list of routes is vLLM's."""

from __future__ import annotations

import inspect
import typing
from typing import Any

import pytest

pytest.importorskip("vllm", reason="vLLM is not installed here; make test-vllm does that")

from fastapi.routing import APIRoute
from fastapi.testclient import TestClient
from vllm.entrypoints.launchers.app import build_app
from vllm.entrypoints.launchers.cli_args import make_arg_parser
from vllm.entrypoints.openai.chat_completion.protocol import BatchChatCompletionRequest
from vllm.utils.argparse_utils import FlexibleArgumentParser

from bapa.integrations.vllm.guard import ARGUMENTS, ROUTES

NAMED = {"model": "m", "messages": [{"role": "user", "content": "w"}], ARGUMENTS: {"bapa": "bapa"}}


@pytest.fixture(scope="module")
def app() -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VLLM_PLUGINS", "bapa")
        return build_app(make_arg_parser(FlexibleArgumentParser()).parse_args([]), ("generate",))


def takes(route: APIRoute) -> bool:
    """Whether what is sent to a route has a field for a rule."""
    hints = typing.get_type_hints(inspect.unwrap(route.endpoint))
    return any(ARGUMENTS in getattr(kind, "model_fields", {}) for kind in hints.values())


def test_every_route_is_there(app: Any) -> None:
    assert {route.path for route in app.routes} >= {*ROUTES, "/bapa", "/v1/systemone"}


def test_the_list_holds_all_that_take_a_rule(app: Any) -> None:
    found = {route.path for route in app.routes if isinstance(route, APIRoute) and takes(route)}
    asking = {path for path in found if not path.endswith("/render")}  # which writes the prompt and asks nothing
    assert asking == {*ROUTES} - {"/v1/chat/completions/batch"}


def test_a_batch_hands_its_rule_to_every_chat() -> None:
    """It has no field of that name, but keeps what it does not know."""
    batch = BatchChatCompletionRequest.model_validate({**NAMED, "messages": [NAMED["messages"]] * 2})
    assert batch.to_chat_completion_request(NAMED["messages"]).vllm_xargs == NAMED[ARGUMENTS]


@pytest.mark.parametrize("path", ["/v1/systemone", "/generative_scoring", "/cohere/v2/chat", "/invocations"])
def test_other_routes_refuse_one(app: Any, path: str) -> None:
    answer = TestClient(app).post(path, json=NAMED)
    assert answer.status_code == 400
    assert f"{path} takes no rule" in answer.json()["error"]["message"]


def test_a_search_of_beams_refuses_one(app: Any) -> None:
    answer = TestClient(app).post("/v1/chat/completions", json={**NAMED, "use_beam_search": True})
    assert answer.status_code == 400
    assert "beams takes no rule" in answer.json()["error"]["message"]
