"""``bapa doctor --server`` on servers whose positions are right, and wrong in ways that servers have been."""

from __future__ import annotations

import http.server
import json
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from typer.testing import CliRunner

from bapa.cli.app import app
from bapa.doctor.client import Client
from bapa.doctor.local import Local
from bapa.doctor.questions import Sheet, draw
from bapa.doctor.server import Examination, examine_server
from bapa.errors import ConfigError, IntegrationError
from bapa.report.server import rows
from tests.doctor import server as servers
from tests.doctor.server import Served, serving

CELL = 24  # the models' own size, which costs least
BOS = {"add_special_tokens": True}


@dataclass
class Bench:
    served: Served
    url: str
    sheet: Sheet
    local: Local

    def examine(self, change: object, *, against: bool = True, logprobs: bool = True) -> Examination:
        self.served.change, self.served.logprobs = change, logprobs  # type: ignore[assignment]
        client = Client(self.url, extra={} if against else dict(BOS))
        return examine_server(client, self.sheet, self.local if against else None)


@pytest.mark.parametrize(
    "url",
    ["127.0.0.1:8000", "http://", "http://[::1", "ftp://a", "http://a:80x0", "http://:80", "http://a b:80"],
)
def test_what_is_no_address_is_said(url: str) -> None:
    with pytest.raises(ConfigError, match="not an address; type one like"):
        Client(url)


@pytest.fixture(scope="module")
def bench() -> Iterator[Bench]:
    served, sheet = Served(), draw(3, seed=0, cell=CELL)
    with serving(served) as url:
        yield Bench(served, url, sheet, Local("reference:places", sheet))


@pytest.mark.parametrize(
    ("change", "kind", "logprobs"),
    [
        (servers.native, "in use", True),
        (servers.zero, "ignored", True),
        (servers.shared, "shared", True),
        (servers.shifted, "shifted", True),
        (servers.swapped, "swapped", True),
        (servers.shuffled, "wrong", True),
        (servers.native, "in use", False),
        (servers.zero, "ignored", False),
    ],
)
def test_against_transformers_every_fault_is_named(bench: Bench, change: object, kind: str, logprobs: bool) -> None:
    found = bench.examine(change, logprobs=logprobs)
    assert found.verdict.kind == kind
    assert bool(found.with_logprobs) == logprobs
    assert found.asked == found.planned == 90


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        (servers.native, "in use"),
        (servers.shifted, "shifted"),
        (servers.upwards, "shifted"),
        (servers.swapped, "swapped"),
        (servers.shared, "cannot be told"),
    ],
)
def test_alone_it_says_no_more_than_answers_show(bench: Bench, change: object, kind: str) -> None:
    found = bench.examine(change, against=False)
    assert found.verdict.kind == kind
    told = dict(rows(found))
    assert ("--against" in told.get("to decide", "")) == (kind == "cannot be told")


def test_it_asks_as_transformers_writes_the_prompt(bench: Bench) -> None:
    bench.served.asked.clear()
    assert bench.examine(servers.native).verdict.likeness[0].distance < 1e-3
    assert all(body["add_special_tokens"] for body in bench.served.asked)


def test_without_logprobs_it_asks_once_in_vain(bench: Bench) -> None:
    bench.served.asked.clear()
    bench.examine(servers.native, logprobs=False)
    assert len(bench.served.asked) == 90


def test_a_field_that_the_server_does_not_take_is_left_out_and_named(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """transformers' own server refuses fields that are not in OpenAI's list, and probabilities."""
    monkeypatch.setattr(bench.served, "unknown", "add_special_tokens")
    bench.served.asked.clear()
    found = bench.examine(servers.native, logprobs=False)
    assert found.asked == len(bench.served.asked) == 90
    assert found.left_out == ("add_special_tokens",)
    assert "add_special_tokens" in dict(rows(found))["not taken"]


def test_a_server_that_cannot_list_its_models_says_what_to_type() -> None:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(500)
            self.end_headers()
            self.wfile.write(b"Internal Server Error")

        def log_message(self, *args: object) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        with pytest.raises(
            IntegrationError, match=r"refuses \(500\): Internal Server Error; name a model .*--model NAME"
        ):
            Client(f"http://127.0.0.1:{server.server_port}").name()
        thread.join()


@pytest.mark.slow
def test_no_false_alarm_on_twenty_healthy_servers() -> None:
    served = Served()
    with serving(served) as url:
        for seed in range(20):
            sheet = draw(3, seed, CELL)
            alone = examine_server(Client(url, extra=dict(BOS)), sheet)
            assert alone.verdict.kind in ("in use", "cannot be told"), f"seed {seed}: {alone}"
            compared = examine_server(Client(url), sheet, Local("reference:places", sheet))
            assert compared.verdict.kind == "in use", f"seed {seed}: {compared}"


def test_a_server_that_takes_no_pictures_is_told_in_one_line(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench.served, "refuses", "At most 0 image(s) may be provided in one prompt.")
    with pytest.raises(IntegrationError, match=r"refuses \(400\): At most 0 image.*text-only one cannot be examined"):
        examine_server(Client(bench.url), bench.sheet)


def test_no_server_is_one_line_and_exit_code_2() -> None:
    shown = CliRunner().invoke(app, ["doctor", "--server", "http://127.0.0.1:9"])
    assert shown.exit_code == 2
    assert "no server answers at http://127.0.0.1:9" in " ".join(shown.stderr.split())


def test_what_is_no_address_is_refused() -> None:
    with pytest.raises(ConfigError, match="type one like http"):
        Client("localhost:8000")


@pytest.mark.parametrize(
    ("code", "body", "says"),
    [
        (200, b"<html>", "does not answer in JSON"),
        (200, b'{"data": []}', "lists no model"),
        (404, b"not found", "does not exist"),
        (401, b'{"error": "no key"}', "OPENAI_API_KEY"),
    ],
)
def test_what_is_no_chat_api_is_told(code: int, body: bytes, says: str) -> None:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(code)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        with pytest.raises(IntegrationError, match=says):
            Client(f"http://127.0.0.1:{server.server_port}/v1").name()
        thread.join()


def test_the_command_shows_the_verdict_and_exits_with_it(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench.served, "change", servers.swapped)
    shown = CliRunner().invoke(
        app, ["doctor", "--server", bench.url, "--sets", "2", "--extra", json.dumps(BOS)], env={"COLUMNS": "200"}
    )
    assert shown.exit_code == 1, shown.output
    assert "swapped: rows are taken for columns" in shown.stdout


@pytest.mark.parametrize("said", [b"SSH-2.0-OpenSSH_9.6\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}", b""])
def test_what_does_not_speak_http_is_one_line(said: bytes) -> None:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()

        def answer() -> None:
            connection, _ = listening.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(said)

        answering = threading.Thread(target=answer)
        answering.start()
        with pytest.raises(IntegrationError, match=r"does not answer in HTTP|no server answers") as error:
            Client(f"http://127.0.0.1:{listening.getsockname()[1]}").name()
        answering.join()
    assert "\n" not in str(error.value)


def test_a_name_that_no_server_can_have_is_not_taken_for_an_answer() -> None:
    with pytest.raises(IntegrationError, match="no server answers"):
        Client(f"http://{'a' * 70}.b").name()
