"""Addresses of servers in a configuration, which is recorded and so holds no secret."""

from __future__ import annotations

import ipaddress
from urllib.parse import SplitResult, urlsplit

from pydantic_core import PydanticCustomError

from practicum_core.problems import UNSHOWN


def check_server_address(url: str, key_option: str) -> str:
    """Return the address of a server, or the ``step:NAME`` of one, without a slash at its end.

    Args:
        url: As it was configured.
        key_option: Option that names the environment variable of the key.

    Raises:
        PydanticCustomError: It is no address, its port is none, or it holds a user, a password, a query or a fragment,
            where keys may stand.

    >>> check_server_address("http://host:8000/v1/", "key_variable"), check_server_address("step:serve", "key_variable")
    ('http://host:8000/v1', 'step:serve')
    """
    if url.startswith("step:"):
        return url
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise PydanticCustomError(UNSHOWN, "give an address that starts with http:// or https://")
    if not _has_sound_port(parts):
        raise PydanticCustomError(UNSHOWN, "an address whose port is none: give a number from 1 to 65535")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise PydanticCustomError(
            UNSHOWN,
            "an address with a user, password, query or fragment: give the key in {option}",
            {"option": key_option},
        )
    return url.rstrip("/")


def _has_sound_port(parts: SplitResult) -> bool:
    """Return whether an address names a port that there can be, or names none.

    >>> [_has_sound_port(urlsplit(f"http://host{port}")) for port in ("", ":8000", ":0", ":80000", ":http")]
    [True, True, False, False, False]
    """
    try:
        return parts.port is None or parts.port > 0
    except ValueError:
        return False


def is_own_address(url: str) -> bool:
    """Return whether an address is of this machine, of a Service of the own cluster, or a ``step:NAME``.

    >>> is_own_address("http://127.0.0.1:8000"), is_own_address("http://gateway.student-01.svc:8080")
    (True, True)
    >>> is_own_address("https://api.example.com/v1"), is_own_address("http://127.0.0.1.example.com")
    (False, False)
    """
    if url.startswith("step:"):
        return True
    host = urlsplit(url).hostname or ""
    if host == "localhost" or host.endswith((".svc", ".svc.cluster.local")):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
