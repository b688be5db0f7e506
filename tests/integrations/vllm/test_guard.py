"""A rule named where it would be dropped: refused, and everything else goes through as it came. Needs no vLLM."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from bapa.integrations.vllm.guard import ROUTES, Guard

NAMED = {"vllm_xargs": {"bapa": "bapa"}}


def posted(path: str, body: bytes, pieces: int = 1, **scope: Any) -> tuple[int, bytes, list[dict[str, Any]]]:
    """Status and body of an answer, and what an application behind the guard was sent, a disconnection included."""
    size = -(-len(body) // pieces) or 1
    parts = [body[at : at + size] for at in range(0, len(body), size)] or [b""]
    coming = [{"type": "http.request", "body": part, "more_body": True} for part in parts]
    coming[-1]["more_body"] = False
    coming.append({"type": "http.disconnect"})
    waiting = iter(coming)
    heard: list[dict[str, Any]] = []
    said: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return next(waiting)

    async def send(message: Any) -> None:
        said.append(message)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        while not heard or heard[-1]["type"] != "http.disconnect":
            heard.append(await receive())
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"answered"})

    asyncio.run(Guard(app)({"type": "http", "method": "POST", "path": path, **scope}, receive, send))
    return said[0]["status"], said[1]["body"], heard


@pytest.mark.parametrize(
    ("path", "request_"),
    [
        *((route, NAMED) for route in ROUTES),
        ("/v1/systemone", {"vllm_xargs": {"other": 1}}),
        ("/v1/systemone", {"state": "of vllm_xargs and bapa"}),
        ("/v1/chat/completions", {"use_beam_search": True}),
        ("/v1/chat/completions", {**NAMED, "use_beam_search": False}),
        ("/v1/systemone", ["vllm_xargs"]),
    ],
)
@pytest.mark.parametrize("pieces", [1, 3])
def test_what_keeps_its_rule_or_names_none_goes_through(path: str, request_: Any, pieces: int) -> None:
    body = json.dumps(request_).encode()
    status, answer, heard = posted(path, body, pieces)
    assert (status, answer) == (200, b"answered")
    assert b"".join(message.get("body", b"") for message in heard) == body
    assert heard[-1]["type"] == "http.disconnect"


@pytest.mark.parametrize(
    ("path", "more", "says"),
    [
        ("/v1/systemone", {}, "/v1/systemone takes no rule; those that do are /v1/chat/completions"),
        ("/cohere/v2/chat", {}, "takes no rule"),
        ("/v1/chat/completions", {"use_beam_search": True, "n": 2}, "a search of beams takes no rule"),
        ("/v1/completions", {"use_beam_search": True}, "a search of beams takes no rule"),
    ],
)
@pytest.mark.parametrize("pieces", [1, 3])
def test_what_would_lose_it_is_a_400(path: str, more: dict[str, Any], says: str, pieces: int) -> None:
    status, answer, heard = posted(path, json.dumps({**NAMED, **more}).encode(), pieces)
    assert status == 400
    assert not heard
    error = json.loads(answer)["error"]
    assert says in error["message"]
    assert (error["code"], error["param"]) == (400, "vllm_xargs")


def test_behind_a_path_of_its_own_a_route_is_still_known() -> None:
    body = json.dumps(NAMED).encode()
    assert posted("/behind/v1/chat/completions", body, root_path="/behind")[0] == 200
    assert posted("/behind/v1/systemone", body, root_path="/behind")[0] == 400


def test_what_is_no_json_is_left_to_the_route() -> None:
    assert posted("/v1/systemone", b'{"vllm_xargs": ')[0] == 200
