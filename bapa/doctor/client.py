"""An OpenAI-compatible chat server, asked over plain HTTP."""

from __future__ import annotations

import base64
import http.client
import io
import json
import math
import re
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from textwrap import shorten
from threading import Lock
from typing import Any

from PIL import Image

from bapa.errors import ConfigError, IntegrationError
from bapa.probe.compose import Pixels

_TIMEOUT = 120  # seconds for one answer
_TOP = 20  # log probabilities asked for: what the API allows at most
_ANSWER = 'expected {"choices": [{"message": {"content": ...}}]}'


@dataclass(frozen=True)
class Reply:
    """``text``: what the server wrote. ``logprobs``: of the likeliest first tokens, by token; empty where not given."""

    text: str
    logprobs: Mapping[str, float]


@dataclass
class Client:
    """``url``: the server's address, with or without ``/v1``. ``model``: the name it is asked for; None for the first
    that it lists. ``tokens``: length of an answer. ``extra``: further fields of every request; ``offered``: fields that
    are left out where the server does not take them.

    Raises ConfigError for what is no address.
    """

    url: str
    model: str | None = None
    tokens: int = 16
    extra: dict[str, Any] = field(default_factory=dict)
    key: str | None = None
    offered: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not _is_address(self.url):
            raise ConfigError(f"--server {self.url}: not an address; type one like http://127.0.0.1:8000")
        self.url = self.url.rstrip("/").removesuffix("/chat/completions").removesuffix("/v1")
        self._taken: dict[str, Any] | None = None  # of what is offered, once a request has shown it
        self._lock = Lock()

    def name(self) -> str:
        """The model that is asked.

        Raises IntegrationError where no server answers, or one that lists no model.
        """
        if self.model is None:
            try:
                listed = self._call("/v1/models")
            except _RefusedError as error:
                raise IntegrationError(f"{error}; name a model that it serves: --model NAME") from error
            entries = listed.get("data") if isinstance(listed, dict) else None
            if not isinstance(entries, list) or not entries or "id" not in entries[0]:
                raise IntegrationError(
                    f"{self.url}/v1/models lists no model; start the server with one, or name it: --model NAME"
                )
            self.model = str(entries[0]["id"])
        return self.model

    def ask(self, picture: str, text: str) -> Reply:
        """The answer to ``text`` about ``picture``, a data URL, greedily.

        Raises IntegrationError, in one line, for everything that is no answer.
        """
        body: dict[str, Any] = {
            "model": self.name(),
            "messages": [
                {
                    "role": "user",
                    "content": [
                        {"type": "image_url", "image_url": {"url": picture}},
                        {"type": "text", "text": text},
                    ],
                }
            ],
            "temperature": 0,
            "max_tokens": self.tokens,
            **self.extra,
        }
        logprobs = {"logprobs": True, "top_logprobs": _TOP}
        offers = [self._taken] if self._taken is not None else [{**logprobs, **self.offered}, self.offered]
        if self._taken is None and self.offered:
            offers += [logprobs, {}]
        for number, offer in enumerate(offers):
            try:
                reply = self._call("/v1/chat/completions", {**offer, **body})
            except _RefusedError:
                if number == len(offers) - 1:  # then the reason is another
                    raise
                continue
            with self._lock:
                self._taken = offer
            break
        return self._read(reply)

    def left_out(self) -> list[str]:
        """Names of the fields offered that the server does not take, known once it has answered."""
        return [name for name in self.offered if self._taken is not None and name not in self._taken]

    def ask_all(self, pairs: Sequence[tuple[str, str]], at_once: int, seconds: float) -> list[Reply]:
        """Answers to (picture, text), ``at_once`` at a time; those that were begun within ``seconds``."""
        replies = [self.ask(*pairs[0])]  # alone, so that an error is told once and logprobs are settled
        until = time.monotonic() + seconds

        def asked(pair: tuple[str, str]) -> Reply | None:
            return self.ask(*pair) if time.monotonic() < until else None

        with ThreadPoolExecutor(at_once) as pool:
            replies += [reply for reply in pool.map(asked, pairs[1:]) if reply is not None]
        return replies

    def _call(self, route: str, body: Mapping[str, Any] | None = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json", **({"Authorization": f"Bearer {self.key}"} if self.key else {})}
        request = urllib.request.Request(f"{self.url}{route}", data, headers)
        try:
            with urllib.request.urlopen(request, timeout=_TIMEOUT) as answer:
                said = answer.read()
        except urllib.error.HTTPError as error:
            said = shorten(_message(error.read()), 300)
            if error.code == 404:
                raise IntegrationError(
                    f"{self.url}{route} does not exist (404: {said}); give the address of an OpenAI-compatible server"
                    + (" and a model it serves: --model NAME" if body else "")
                ) from error
            if error.code in (401, 403):
                raise IntegrationError(f"{self.url} wants a key ({error.code}); set OPENAI_API_KEY") from error
            about = any(word in said.lower() for word in ("image", "multimodal", "multi-modal", "mmproj"))
            hint = "; does this model take pictures? A text-only one cannot be examined" if about else ""
            raise _RefusedError(f"{self.url}{route} refuses ({error.code}): {said}{hint}") from error
        except http.client.HTTPException as error:
            what = " ".join(str(error).split()) or type(error).__name__
            raise IntegrationError(
                f"{self.url} does not answer in HTTP ({shorten(what, 100)}); give the address of an OpenAI-compatible "
                "server"
            ) from error
        except (OSError, ValueError) as error:  # a ValueError: of a name that no server can have
            reason = getattr(error, "reason", error)
            raise IntegrationError(f"no server answers at {self.url} ({reason}); is it running there?") from error
        try:
            return json.loads(said)
        except ValueError as error:
            raise IntegrationError(
                f"{self.url}{route} does not answer in JSON; give the address of an OpenAI-compatible server"
            ) from error

    def _read(self, reply: Any) -> Reply:
        try:
            choice = reply["choices"][0]
            text = choice["message"]["content"] or ""
        except (KeyError, IndexError, TypeError) as error:
            raise IntegrationError(f"{self.url} answers otherwise than the chat API; {_ANSWER}") from error
        told = (choice.get("logprobs") or {}).get("content") or []
        first = told[0].get("top_logprobs") or [] if told else []
        return Reply(str(text), {str(entry["token"]): float(entry["logprob"]) for entry in first})


class _RefusedError(IntegrationError):
    """The server understood, and will not."""


def _message(body: bytes) -> str:
    """What an error says, whichever shape it has."""
    text = body.decode("utf-8", "replace")
    try:
        told = json.loads(text)
    except ValueError:
        return text
    inner = told.get("error", told) if isinstance(told, dict) else told
    return str(inner.get("message", inner.get("detail", inner)) if isinstance(inner, dict) else inner)


def _is_address(url: str) -> bool:
    try:
        parts = urllib.parse.urlsplit(url)
        named = bool(parts.hostname) and parts.port != 0
    except ValueError:  # an IPv6 address without its bracket, or a port that is no number
        return False
    return parts.scheme in ("http", "https") and named and re.search(r"[\s\x00-\x1f\x7f]", url) is None


def data_url(canvas: Pixels) -> str:
    """A canvas, uint8 (height, width, 3), as a PNG in a data URL."""
    stream = io.BytesIO()
    Image.fromarray(canvas).save(stream, "PNG")
    return f"data:image/png;base64,{base64.b64encode(stream.getvalue()).decode()}"


def shares(logprobs: Mapping[str, float], choices: Sequence[str]) -> list[float] | None:
    """The probabilities of the choices, to sum 1, from log probabilities by token; None where no token says one.

    A choice that is not among them counts as 0.
    """
    found = [0.0] * len(choices)
    for token, logprob in logprobs.items():
        word = token.replace("▁", " ").replace("Ġ", " ").strip().lower()
        if word in choices:
            found[choices.index(word)] += math.exp(logprob)
    total = sum(found)
    return [share / total for share in found] if total > 0.5 else None
