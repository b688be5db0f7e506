"""A chat server in this process: a model through transformers, with its image positions right or wrong.

The faults are written here once more, on the rotary embedding alone: what the doctor knows of faults is not used.
"""

from __future__ import annotations

import base64
import io
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from bapa.checkpoints import load

SIDE = 9  # patches of reference models in a row


def native(ids: Tensor, image: slice) -> Tensor:
    return ids


def zero(ids: Tensor, image: slice) -> Tensor:
    return ids * 0


def shared(ids: Tensor, image: slice) -> Tensor:
    """As SGLang did where it read the temporal row alone."""
    ids[:, image] = image.start
    return ids


def shifted(ids: Tensor, image: slice) -> Tensor:
    """Every row of cells (three rows of patches) at the positions of the next one."""
    ids[:, image] = (ids[:, image] - image.start + 3 * SIDE) % SIDE**2 + image.start
    return ids


def upwards(ids: Tensor, image: slice) -> Tensor:
    ids[:, image] = (ids[:, image] - image.start - 3 * SIDE) % SIDE**2 + image.start
    return ids


def swapped(ids: Tensor, image: slice) -> Tensor:
    row, col = (ids[:, image] - image.start) // SIDE, (ids[:, image] - image.start) % SIDE
    ids[:, image] = col * SIDE + row + image.start
    return ids


def shuffled(ids: Tensor, image: slice) -> Tensor:
    order = torch.randperm(SIDE**2, generator=torch.Generator().manual_seed(5))
    ids[:, image] = order + image.start
    return ids


@dataclass
class Served:
    """A model and what is done to its positions. ``logprobs``: whether answers have them. ``refuses``: what it says to
    every picture. ``unknown``: a field that it refuses. ``asked``: requests so far.
    """

    name: str = "reference:places"
    change: Callable[[Tensor, slice], Tensor] = native
    logprobs: bool = True
    refuses: str = ""
    unknown: str = ""
    asked: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.loaded = load(self.name)
        self.lock = threading.Lock()
        self.loaded.model.model.language_model.rotary_emb.register_forward_pre_hook(self._move, with_kwargs=True)

    def _move(self, module: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        return args, {**kwargs, "position_ids": self.change(kwargs["position_ids"].clone(), self.image)}

    @torch.inference_mode()
    def answer(self, body: dict[str, Any]) -> dict[str, Any]:
        self.asked.append(body)
        picture, text = body["messages"][0]["content"]
        raw = base64.b64decode(picture["image_url"]["url"].partition(",")[2])
        processor = self.loaded.processor
        chat = [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": text["text"]}]}]
        written = processor.apply_chat_template(chat, add_generation_prompt=True)
        special = body.get("add_special_tokens", False)
        with self.lock:
            inputs = processor(
                images=[Image.open(io.BytesIO(raw))], text=written, return_tensors="pt", add_special_tokens=special
            )
            columns = (inputs["input_ids"][0] == self.loaded.model.config.image_token_id).nonzero()[:, 0].tolist()
            self.image = slice(columns[0], columns[-1] + 1)
            logits = self.loaded.model(**inputs, logits_to_keep=1).logits[0, -1]
        best = logits.log_softmax(-1).topk(20)
        words = processor.tokenizer.convert_ids_to_tokens(best.indices.tolist())
        choice: dict[str, Any] = {"message": {"role": "assistant", "content": words[0]}}
        if body.get("logprobs"):
            top = [{"token": w, "logprob": v} for w, v in zip(words, best.values.tolist(), strict=True)]
            choice["logprobs"] = {"content": [{**top[0], "top_logprobs": top}]}
        return {"choices": [choice]}


@contextmanager
def serving(served: Served) -> Iterator[str]:
    """The address of a running server."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._send(200, {"data": [{"id": served.name}]})

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if served.refuses:
                self._send(400, {"error": {"message": served.refuses}})
            elif served.unknown in body:
                self._send(422, {"detail": f"Unexpected fields in the request: {served.unknown}"})
            elif body.get("logprobs") and not served.logprobs:
                self._send(400, {"error": {"message": "logprobs are not supported"}})
            else:
                self._send(200, served.answer(body))

        def _send(self, code: int, told: dict[str, Any]) -> None:
            raw = json.dumps(told).encode()
            self.send_response(code)
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        def log_message(self, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
