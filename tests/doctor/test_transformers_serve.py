"""``bapa doctor --server`` on ``transformers serve``, as it is and broken: pip install 'transformers[serving]'."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from bapa.checkpoints.locate import locate
from bapa.doctor.client import Client
from bapa.doctor.local import Local
from bapa.doctor.questions import draw
from bapa.doctor.server import Examination, examine_server

pytest.importorskip("fastapi", reason="pip install 'transformers[serving]'")
pytest.importorskip("openai", reason="pip install 'transformers[serving]'")
pytestmark = pytest.mark.slow

MODEL = "reference:places"
FOLDER = str(Path(locate(MODEL).path).resolve())


@contextmanager
def serving(change: str, log: Path) -> Iterator[Client]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "tests.doctor.transformers_serve", change, "serve", FOLDER]
    options = ["--device", "cpu", "--dtype", "float32", "--host", "127.0.0.1", "--port", str(port)]
    root = str(Path(__file__).parents[2])
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "PYTHONPATH": root}
    with log.open("w") as out:
        server = subprocess.Popen([*command, *options], env=environment, stdout=out, stderr=out)
    try:
        until = time.monotonic() + 300
        while True:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5).close()
                break
            except OSError:
                assert server.poll() is None, log.read_text()
                assert time.monotonic() < until, log.read_text()
                time.sleep(0.5)
        yield Client(f"http://127.0.0.1:{port}", FOLDER)
    finally:
        server.terminate()
        server.wait(60)


def timed(note: Callable[[str, object], None], what: str, client: Client, *asked: Any) -> Examination:
    """An examination; verdict and seconds are noted in the file of ``--junitxml``."""
    began = time.monotonic()
    found = examine_server(client, *asked)
    note(what, f"{found.verdict.kind}, {found.asked} questions, {time.monotonic() - began:.0f} s")
    return found


def test_no_false_alarm_in_twenty_runs(tmp_path: Path, record_property: Callable[[str, object], None]) -> None:
    with serving("native", tmp_path / "log") as client:
        for seed in range(20):
            sheet = draw(3, seed)
            alone = timed(record_property, f"{seed} alone", client, sheet)
            assert alone.verdict.kind in ("in use", "cannot be told"), f"seed {seed}: {alone}"
            assert alone.asked == 90
            again = Client(client.url, client.model)
            found = timed(record_property, f"{seed} against", again, sheet, Local(MODEL, sheet))
            assert found.verdict.kind == "in use", f"seed {seed}: {found}"


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        ("zero", "ignored"),
        ("shared", "shared"),
        ("shifted", "shifted"),
        ("upwards", "shifted"),
        ("swapped", "swapped"),
        ("shuffled", "wrong"),
    ],
)
def test_every_fault_is_named(
    change: str, kind: str, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    sheet = draw(5, 0)
    with serving(change, tmp_path / "log") as client:
        assert timed(record_property, change, client, sheet, Local(MODEL, sheet)).verdict.kind == kind
