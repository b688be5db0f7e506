"""``bapa doctor --server`` on vLLM: one server, whose positions are right or wrong by the rule that a request names."""

from __future__ import annotations

import os
import socket
import subprocess
import sys

import pytest

pytest.importorskip("vllm", reason="vLLM is not installed here; make test-vllm does that")

from bapa.doctor.client import Client
from bapa.doctor.local import Local
from bapa.doctor.questions import draw
from bapa.doctor.server import examine_server
from tests.integrations.vllm.test_serve import QUICK, wait_for


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = tmp_path_factory.mktemp("server") / "log"
    command = [sys.executable, "-m", "bapa", "serve", "reference:places", "--rules", *QUICK.split()]
    environment = {**os.environ, "VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_CPU_OMP_THREADS_BIND": "nobind"}
    with log.open("w") as out:
        server = subprocess.Popen([*command, "--port", str(port)], env=environment, stdout=out, stderr=out)
    try:
        wait_for(f"http://127.0.0.1:{port}/health", server, log)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(120)


def test_every_rule_is_seen_from_outside(address):
    sheet = draw(2, seed=0, cell=24)
    local = Local("reference:places", sheet)
    for rule, kind in (
        (None, "in use"),
        ("bapa:distance=native", "shared"),  # what a server does that reads the temporal row alone
        ("reverse", "shifted"),
    ):
        client = Client(address, extra={"vllm_xargs": {"bapa": rule}} if rule else {})
        found = examine_server(client, sheet, local, seconds=900)
        assert (rule, found.verdict.kind) == (rule, kind)
        assert found.asked == found.planned
        assert found.with_logprobs > 0
