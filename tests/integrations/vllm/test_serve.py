"""``bapa serve``: a chat completion with a picture, as transformers writes it. Loopback only."""

from __future__ import annotations

import base64
import io
import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

pytest.importorskip("vllm", reason="vLLM is not installed here; make test-vllm does that")

import bapa
from bapa.checkpoints import load
from bapa.probe import Design, build

SCHEME = "bapa:distance=62"
QUICK = "--dtype float32 --enforce-eager --max-model-len 512 --host 127.0.0.1"


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = tmp_path_factory.mktemp("server") / "log"
    command = [sys.executable, "-m", "bapa", "serve", "reference:bottom", "--scheme", SCHEME, *QUICK.split()]
    environment = {**os.environ, "VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_CPU_OMP_THREADS_BIND": "nobind"}
    with log.open("w") as out:
        server = subprocess.Popen([*command, "--port", str(port)], env=environment, stdout=out, stderr=out)
    try:
        wait_for(f"http://127.0.0.1:{port}/health", server, log)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(120)


def wait_for(url: str, server: subprocess.Popen, log: Path) -> None:
    for _ in range(1200):
        assert server.poll() is None, log.read_text()[-4000:]
        try:
            urllib.request.urlopen(url, timeout=5).close()
        except (urllib.error.URLError, OSError):
            time.sleep(1)
        else:
            return
    raise AssertionError(log.read_text()[-4000:])


def ask(address: str, route: str, body: dict | None = None) -> dict:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"{address}{route}", data, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=300) as answer:
        return json.load(answer)


def test_it_says_its_scheme(address):
    assert ask(address, "/bapa") == {"scheme": SCHEME, "rules": True}
    assert ask(address, "/v1/models")["data"][0]["id"] == "reference:bottom"


def test_chat_with_a_picture(address, tmp_path):
    probe = build("digits", tmp_path / "probe", Design(items=2))
    loaded = load("reference:bottom")
    margins = []
    for item in probe.items:
        for cell in (0, 8):
            picture = Image.fromarray(probe.compose(item, cell))
            question = probe.questions(item, cell)[0].text
            expected = logprobs(loaded, picture, question, SCHEME)
            margins.append((expected, logprobs(loaded, picture, question, "native")))
            reply = ask(address, "/v1/chat/completions", body(picture, question))
            assert margin(reply) == pytest.approx(expected, abs=2e-3)
            assert reply["choices"][0]["message"]["content"].strip() == ("yes" if expected > 0 else "no")
            # A request that names its rule runs under it, from the same cache.
            reply = ask(address, "/v1/chat/completions", body(picture, question, vllm_xargs={"bapa": "native"}))
            assert margin(reply) == pytest.approx(margins[-1][1], abs=2e-3)
    assert np.abs(np.diff(margins)).max() > 0.5  # the scheme shows


def test_an_unknown_rule_is_a_400(address):
    picture = Image.new("RGB", (72, 72), "grey")
    for rule in ("bapas", "vrope", "bapa:distance=99999"):
        with pytest.raises(urllib.error.HTTPError) as refused:
            ask(address, "/v1/chat/completions", body(picture, "?", vllm_xargs={"bapa": rule}))
        assert refused.value.code == 400
        assert rule.partition(":")[0] in json.load(refused.value)["error"]["message"]
    ask(address, "/v1/chat/completions", body(picture, "?"))


def body(picture: Image.Image, question: str, **more: object) -> dict:
    png = io.BytesIO()
    picture.save(png, "PNG")
    url = "data:image/png;base64," + base64.b64encode(png.getvalue()).decode()
    content = [{"type": "image_url", "image_url": {"url": url}}, {"type": "text", "text": question}]
    return {
        "model": "reference:bottom",
        "messages": [{"role": "user", "content": content}],
        **{"temperature": 0, "max_tokens": 1, "logprobs": True, "top_logprobs": 20},
        "add_special_tokens": True,  # the template leaves <s> to the tokenizer
        **more,
    }


def margin(reply: dict) -> float:
    told = {t["token"]: t["logprob"] for t in reply["choices"][0]["logprobs"]["content"][0]["top_logprobs"]}
    return told["yes"] - told["no"]


def logprobs(loaded, picture: Image.Image, question: str, scheme: str) -> float:
    """Yes minus no, from transformers."""
    content = [{"type": "image", "image": picture}, {"type": "text", "text": question}]
    inputs = loaded.processor.apply_chat_template(
        [{"role": "user", "content": content}],
        **{"tokenize": True, "return_dict": True, "return_tensors": "pt", "add_generation_prompt": True},
    )
    with bapa.balanced(loaded.model, scheme), torch.no_grad():
        logits = loaded.model(**inputs).logits[0, -1]
    yes, no = loaded.processor.tokenizer.convert_tokens_to_ids(["yes", "no"])
    return float(logits[yes] - logits[no])
