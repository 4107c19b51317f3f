"""A report that arrives slowly: the ingest waits for it, but not for ever, and serves the others meanwhile."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import threading
import time

import pytest

from agent_stand import IngestServer
from controller_process import write_certificate
from practicum_controller import metrics
from practicum_core import labels
from practicum_core.reports import REPORTS_ROUTE

LIMIT_S = 0.6
REPORT = json.dumps({"uid": "u1", "step": "sft", "attempt": 1, "outcome": "succeeded"}).encode()


@pytest.fixture
def server(tmp_path, monkeypatch):
    monkeypatch.setattr("practicum_controller.ingest._BODY_S", LIMIT_S)
    write_certificate(tmp_path)
    with IngestServer(tmp_path, tmp_path / "history.sqlite", counts=False) as started:
        started.pods["token-1"] = labels.build_child_labels("week-03", "u1", "sft", "sft", 1)
        yield started


class Client:
    """One connection, on which a request is sent bit by bit."""

    def __init__(self, server, token="token-1"):  # noqa: S107 - a test's
        context = ssl.create_default_context(cafile=str(server.tls / "ca.crt"))
        plain = socket.create_connection(("127.0.0.1", server.port), timeout=10)
        self.socket = context.wrap_socket(plain, server_hostname="localhost")
        self.begin(token)

    def begin(self, token="token-1"):  # noqa: S107 - as above
        head = f"POST {REPORTS_ROUTE} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n"
        self.socket.sendall(f"{head}Content-Length: {len(REPORT)}\r\n\r\n".encode())

    def drip(self, pause_s, stop):
        with contextlib.suppress(OSError):
            for number in range(len(REPORT)):
                self.socket.sendall(REPORT[number : number + 1])
                if stop.wait(pause_s):
                    return

    def read_answer(self):
        """Return the status and the sentence."""
        text = b""
        while b"\r\n\r\n" not in text or not text.endswith(b"}"):
            chunk = self.socket.recv(65536)
            assert chunk, text
            text += chunk
        head, _, body = text.partition(b"\r\n\r\n")
        return int(head.split()[1]), json.loads(body)


@pytest.fixture
def connect(server):
    clients = []

    def connecting(**options):
        clients.append(Client(server, **options))
        return clients[-1]

    yield connecting
    for client in clients:
        client.socket.close()


def count_refusals():
    return metrics.REPORTS.labels("408")._value.get()


def test_half_a_report_is_refused_after_a_while(server, connect):
    before = count_refusals()
    client = connect()
    client.socket.sendall(REPORT[:20])
    started_s = time.monotonic()
    status, answer = client.read_answer()
    assert time.monotonic() - started_s >= LIMIT_S * 0.9
    assert (status, answer["error"]) == (408, "the report did not arrive within 1 s; try again")
    assert (server.told, server.history.load_reports()) == ([], {})
    assert count_refusals() == before + 1
    client.socket.sendall(REPORT[20:])
    client.begin()
    client.socket.sendall(REPORT)
    assert client.read_answer()[0] == 200, "what came late is not taken for the next request"
    assert len(server.told) == 1


def test_a_report_that_drips_has_as_long_as_one_that_stands_still(server, connect):
    """The limit is on the whole: each byte would keep a limit on silence from ending it."""
    client, stop = connect(), threading.Event()
    dripping = threading.Thread(target=client.drip, args=(LIMIT_S / 6, stop))
    started_s = time.monotonic()
    dripping.start()
    status, _ = client.read_answer()
    stop.set()
    dripping.join()
    assert (status, server.told) == (408, [])
    assert LIMIT_S * 0.9 <= time.monotonic() - started_s < LIMIT_S + 5


def test_a_report_in_parts_is_taken_and_a_slow_one_keeps_nobody_waiting(server, connect, monkeypatch):
    monkeypatch.setattr("practicum_controller.ingest._BODY_S", 30.0)
    slow, quick = connect(), connect()
    slow.socket.sendall(REPORT[:20])
    quick.socket.sendall(REPORT)
    assert quick.read_answer() == (200, {"status": "taken"})
    for part in (REPORT[20:50], REPORT[50:]):
        time.sleep(0.1)
        slow.socket.sendall(part)
    assert slow.read_answer() == (200, {"status": "taken"})
    assert len(server.told) == 2


def test_nobody_s_report_is_not_waited_for(server, connect):
    """Without a token, not one byte of the body is asked for."""
    client = connect(token="")
    started_s = time.monotonic()
    assert client.read_answer()[0] == 401
    assert time.monotonic() - started_s < LIMIT_S


def test_an_address_that_guesses_tokens_is_told_to_wait(server, connect, monkeypatch):
    monkeypatch.setattr("practicum_controller.tokens.MAX_REFUSED", 0)
    status, answer = connect().read_answer()
    assert (status, "this address sent too many tokens" in answer["error"]) == (429, True)
    assert server.told == []


def test_a_pod_sends_two_reports_at_once_and_no_third(connect, monkeypatch):
    """Each may be of megabytes and take its time: one pod must not fill the controller's memory."""
    monkeypatch.setattr("practicum_controller.ingest._INTERVAL_S", 0.0)
    waiting = [connect(), connect()]
    for client in waiting:
        client.socket.sendall(REPORT[:20])
    time.sleep(0.1)
    third = connect()
    assert third.read_answer() == (503, {"error": "too many reports arrive at once; try again"})
    for client in waiting:
        client.socket.sendall(REPORT[20:])
        assert client.read_answer()[0] == 200
    again = connect()
    again.socket.sendall(REPORT)
    assert again.read_answer()[0] == 200


def test_an_end_that_is_told_again_at_once_has_to_wait(server, connect, monkeypatch):
    monkeypatch.setattr("practicum_controller.ingest._INTERVAL_S", 1e9)
    statuses = []
    for _ in range(2):
        client = connect()
        client.socket.sendall(REPORT)
        statuses.append(client.read_answer()[0])
    assert statuses == [200, 429]
    assert len(server.told) == 1
