"""Readiness of a real small server."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import pytest

from agent_stand import wait_for
from practicum_runtime.ports import LOOPBACK, ServerPorts
from practicum_runtime.readiness import Readiness, ReadinessProbe, ask_readiness

SERVER = Path(__file__).parents[2] / "stand" / "small_server.py"


@pytest.fixture
def port(layout):
    with ServerPorts() as ports:
        yield ports.ensure(layout)


@pytest.fixture
def serve(layout, port, start):
    def serving(*behaviour):
        before = layout.log.read_text().count("listens") if layout.log.exists() else 0
        process = start(SERVER, port, *behaviour)
        wait_for(lambda: layout.log.read_text().count("listens") > before)
        return process

    return serving


@pytest.fixture
def probe(port):
    made = ReadinessProbe(port, "/readyz", period_s=0.05, timeout_s=1.0)
    yield made
    made.close()


def test_a_server_that_answers_is_ready(port, serve):
    serve()
    assert ask_readiness(port, "/readyz", 5) == Readiness(is_ready=True)


def test_a_server_that_loads_says_so(port, serve):
    serve("serve", 60)
    url = f"http://{LOOPBACK}:{port}/readyz"
    assert ask_readiness(port, "/readyz", 5) == Readiness(
        is_ready=False, reason=f"{url} answered 503 Service Unavailable: the model is being loaded"
    )
    assert ask_readiness(port, "/other", 5).is_ready


def test_a_port_without_a_server_is_told(port):
    assert ask_readiness(port, "/", 5) == Readiness(is_ready=False, reason=f"nothing listens on {LOOPBACK}:{port} yet")


def test_what_is_no_http_is_told(port, serve):
    serve("babble")
    answer = ask_readiness(port, "/", 5)
    assert not answer.is_ready
    assert "220 mail.example.org" in answer.reason


def test_an_answer_byte_by_byte_is_given_no_more_than_the_time_out(port, serve):
    serve("trickle")
    started_s = time.monotonic()
    answer = ask_readiness(port, "/", 0.5)
    assert time.monotonic() - started_s < 20, "the whole answer takes a minute"
    assert answer == Readiness(is_ready=False, reason=f"http://{LOOPBACK}:{port}/ gave no whole answer within 0.5 s")


def test_a_server_that_accepts_nothing_is_given_no_more_than_the_time_out(port, serve):
    process = serve()
    process._process.send_signal(signal.SIGSTOP)
    try:
        assert "no whole answer within 0.5 s" in ask_readiness(port, "/", 0.5).reason
    finally:
        process._process.send_signal(signal.SIGCONT)


def test_a_probe_follows_a_server_from_start_to_end_and_over_a_restart(port, serve, probe):
    wait_for(lambda: "nothing listens" in probe.read().reason)
    process = serve("serve", 0.5)
    wait_for(lambda: "being loaded" in probe.read().reason)
    wait_for(lambda: probe.read().is_ready)
    process.kill()
    process.sweep()
    wait_for(lambda: not probe.read().is_ready)
    serve()
    wait_for(lambda: probe.read().is_ready)


def test_reading_a_probe_never_waits(port, serve):
    serve("trickle")
    probe = ReadinessProbe(port, "/", timeout_s=3)
    try:
        started_s = time.monotonic()
        for _ in range(100):
            assert not probe.read().is_ready
        assert time.monotonic() - started_s < 2.5, "less than one time-out"
    finally:
        probe.close()


def test_one_miss_does_not_make_a_ready_server_unready(port, serve, probe):
    serve()
    wait_for(lambda: probe.read().is_ready)
    miss = Readiness(is_ready=False, reason="busy")
    probe.close()
    time.sleep(0.2)  # an answer under way is noted before this
    for _ in range(2):
        probe._note(miss)
        assert probe.read().is_ready
    probe._note(miss)
    assert probe.read() == miss
    probe._note(Readiness(is_ready=True))
    probe._note(miss)
    assert probe.read().is_ready


@pytest.mark.parametrize(("behaviour", "status"), [("serve", -signal.SIGTERM), ("deaf", -signal.SIGKILL)])
def test_a_server_is_stopped_within_its_grace(serve, behaviour, status):
    process = serve(behaviour)
    process.stop(0.5)
    process.wait(0.6)
    process.stop(0.5)
    assert process.wait(5) == status
