"""A rule named where vLLM would drop it is a 400, not a silence.

vLLM hands ``vllm_xargs`` on to some of its routes only, and to none where beams are searched.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from bapa.integrations.vllm.rules import NAME

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]

ARGUMENTS = "vllm_xargs"
# Whose requests hand ``vllm_xargs`` on to the engine (vLLM 0.32).
ROUTES = ("/v1/chat/completions", "/v1/chat/completions/batch", "/v1/completions", "/v1/messages", "/v1/responses")


class Guard:
    """ASGI middleware. ``app``: what answers."""

    def __init__(self, app: App) -> None:
        self.app = app

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "POST":
            return await self.app(scope, receive, send)
        read = [await receive()]
        while read[-1].get("more_body"):
            read.append(await receive())
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        if told := dropped(path, b"".join(message.get("body", b"") for message in read)):
            return await refuse(told, send)
        waiting = iter(read)

        async def again() -> Message:
            return next(waiting, None) or await receive()

        return await self.app(scope, again, send)


def dropped(path: str, body: bytes) -> str | None:
    """Why the rule that a request names would not reach the engine; None where it does, or where none is named.

    ``path``: of the route. ``body``: of the request, which names its rule in ``vllm_xargs``.
    """
    if ARGUMENTS.encode() not in body:  # pictures make bodies long
        return None
    try:
        request = json.loads(body)
    except ValueError:  # the route says so
        return None
    given = request.get(ARGUMENTS) if isinstance(request, dict) else None
    if not isinstance(given, dict) or NAME not in given:
        return None
    if path not in ROUTES:
        return f"{path} takes no rule; those that do are {', '.join(ROUTES)}. Or serve with bapa serve --scheme"
    if request.get("use_beam_search"):
        return "a search of beams takes no rule; leave use_beam_search out, or serve with bapa serve --scheme"
    return None


async def refuse(told: str, send: Send) -> None:
    """Answer 400, in the words of OpenAI's API."""
    error = {"message": told, "type": "BadRequestError", "param": ARGUMENTS, "code": 400}
    headers = [(b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": 400, "headers": headers})
    await send({"type": "http.response.body", "body": json.dumps({"error": error}).encode()})
