"""The sockets that the controller listens on."""

from __future__ import annotations

import socket

import pytest

from practicum_controller.server import listen_everywhere


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_both_families_are_answered(host):
    with listen_everywhere(0) as server:
        try:
            connection = socket.create_connection((host, server.getsockname()[1]), timeout=5)
        except OSError:
            if host == "::1" and not has_ipv6():
                pytest.skip("this machine has no IPv6 address")
            raise
        connection.close()


def has_ipv6():
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


def test_a_port_that_is_taken_is_an_error():
    with listen_everywhere(0) as server, pytest.raises(OSError, match="in use"):
        listen_everywhere(server.getsockname()[1])
