"""Ports that are held for servers, against real servers and real rivals."""

from __future__ import annotations

import json
import socket
import urllib.request
from pathlib import Path

import pytest

from agent_stand import wait_for
from practicum_core.errors import PlatformError
from practicum_runtime.ports import LOOPBACK, ServerPorts

SERVER = Path(__file__).parents[2] / "stand" / "small_server.py"


@pytest.fixture
def ports():
    with ServerPorts() as made:
        yield made


def listen(port, host=LOOPBACK, **options):
    server = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    for option in options.values():
        server.setsockopt(socket.SOL_SOCKET, option, 1)
    try:
        server.bind((host, port))
        server.listen()
    except OSError:
        server.close()
        raise
    return server


def read_page(port):
    with urllib.request.urlopen(f"http://{LOOPBACK}:{port}/", timeout=5) as answer:
        return answer.read()


def test_a_server_keeps_its_port_over_restarts_with_clients_connected(ports, layout, start):
    port = ports.ensure(layout)
    pids = []
    for attempt in (1, 2, 3):
        assert ports.ensure(layout) == port
        process = start(SERVER, port, attempt=attempt)
        wait_for(lambda count=attempt: layout.log.read_text().count("listens") == count)
        with socket.create_connection((LOOPBACK, port), 5):
            pids.append(int(read_page(port)))
            process.kill()
        assert pids[-1] == process.pid
        process.sweep()
    assert len(set(pids)) == 3


def test_a_held_port_is_nobody_else_s(ports, layout):
    port = ports.ensure(layout)
    with pytest.raises(OSError, match="in use"):
        listen(port)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((LOOPBACK, port), 5)


@pytest.mark.parametrize("host", [LOOPBACK, "0.0.0.0", "::"])  # noqa: S104 - what servers listen on by default
@pytest.mark.parametrize("option", [socket.SO_REUSEADDR, socket.SO_REUSEPORT])
def test_a_server_of_either_kind_may_listen_on_it(ports, layout, option, host):
    port = ports.ensure(layout)
    with listen(port, host, option=option), socket.create_connection((LOOPBACK, port), 5):
        pass


def test_steps_and_executors_get_ports_of_their_own(run):
    """The same notes for both executors: a run's folder may have been copied."""
    with ServerPorts() as one, ServerPorts() as other:
        layouts = [run.stage(name) for name in ("serve", "gateway")]
        found = [held.ensure(layout) for held in (one, other) for layout in layouts]
        assert len(set(found)) == 4


def test_a_resumed_run_gets_the_port_that_it_had(layout):
    with ServerPorts() as first:
        port = first.ensure(layout)
    with ServerPorts() as second:
        assert second.ensure(layout) == port


def test_a_resumed_run_gets_another_port_where_a_program_has_the_old_one(layout):
    with ServerPorts() as first:
        port = first.ensure(layout)
    with listen(port, option=socket.SO_REUSEADDR), ServerPorts() as second:
        other = second.ensure(layout)
        assert other != port
        assert json.loads(layout.port.read_text()) == {"port": other}


@pytest.mark.parametrize("text", ["", "[]", '{"port": "x"}', '{"port": 99999}', '{"port": -1}', '{"port": true}'])
def test_a_note_that_names_no_port_is_written_anew(ports, layout, text):
    layout.port.write_text(text)
    port = ports.ensure(layout)
    assert port > 1023
    assert json.loads(layout.port.read_text()) == {"port": port}


def test_a_port_that_cannot_be_noted_is_told(ports, layout):
    layout.port.mkdir()
    with pytest.raises(PlatformError, match=r"port\.json: cannot be written"):
        ports.ensure(layout)
