"""Readiness of a server: whether an HTTP GET of one of its paths is answered, by the rules of Kubernetes' probes."""

from __future__ import annotations

import contextlib
import http.client
import socket
import threading
from dataclasses import dataclass

from practicum_runtime.ports import LOOPBACK

_MAX_BODY_BYTES = 300


@dataclass(frozen=True)
class Readiness:
    """Whether a server is ready; ``reason`` says why not yet, and is empty where it is."""

    is_ready: bool
    reason: str = ""


def ask_readiness(port: int, path: str, timeout_s: float, host: str = LOOPBACK) -> Readiness:
    """Ask a server once by GET. An answer from 200 to 399 says ready, as for Kubernetes.

    Args:
        port: Its port.
        path: What is asked for, such as ``/readyz``.
        timeout_s: Seconds for the whole of connection and answer, a server that sends byte by byte included.
        host: Its address.
    """
    url = f"http://{host}:{port}{path}"
    connection = http.client.HTTPConnection(host, port, timeout=timeout_s)
    is_late = threading.Event()
    timer = threading.Timer(timeout_s, _cut_off, (connection, is_late))
    timer.daemon = True
    timer.start()
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        body = b"" if _is_success(response.status) else response.read(_MAX_BODY_BYTES)
    except ConnectionRefusedError:
        return Readiness(is_ready=False, reason=f"nothing listens on {host}:{port} yet")
    except (OSError, http.client.HTTPException) as error:
        if is_late.is_set() or isinstance(error, TimeoutError):
            return Readiness(is_ready=False, reason=f"{url} gave no whole answer within {timeout_s:g} s")
        return Readiness(is_ready=False, reason=f"{url}: {error or type(error).__name__}")
    finally:
        timer.cancel()
        connection.close()
    return _judge(url, response.status, response.reason, body)


class ReadinessProbe:
    """Asks a server again and again in a thread of its own, so that who reads the answer never waits for it.

    Args:
        port: The server's port.
        path: What is asked for.
        host: Its address.
        period_s: Seconds from one answer to the next question.
        start_period_s: The same while it is not ready: who waits for it should not wait for the probe too.
        timeout_s: Seconds that an answer may take.
        max_misses: After so many misses in a row a server that was ready is not ready any more.
    """

    def __init__(
        self,
        port: int,
        path: str,
        *,
        host: str = LOOPBACK,
        period_s: float = 0.5,
        start_period_s: float = 0.1,
        timeout_s: float = 2.0,
        max_misses: int = 3,
    ) -> None:
        self._address = (port, path, timeout_s, host)
        self._period_s = period_s
        self._start_period_s = start_period_s
        self._max_misses = max_misses
        self._num_misses = 0
        self._is_closed = threading.Event()
        self._latest = Readiness(is_ready=False, reason=f"http://{host}:{port}{path} was not asked yet")
        threading.Thread(target=self._ask_until_closed, name=f"readiness-{port}", daemon=True).start()

    def read(self) -> Readiness:
        """Return where the server stands by the latest answers. Does not wait."""
        return self._latest

    def close(self) -> None:
        """Ask no more. Does not wait for an answer under way."""
        self._is_closed.set()

    def _ask_until_closed(self) -> None:
        while not self._is_closed.is_set():
            self._note(ask_readiness(*self._address))
            self._is_closed.wait(self._period_s if self._latest.is_ready else self._start_period_s)

    def _note(self, answer: Readiness) -> None:
        self._num_misses = 0 if answer.is_ready else self._num_misses + 1
        if answer.is_ready or not self._latest.is_ready or self._num_misses >= self._max_misses:
            self._latest = answer


def _cut_off(connection: http.client.HTTPConnection, is_late: threading.Event) -> None:
    is_late.set()
    with contextlib.suppress(OSError, AttributeError):  # not connected, or closed meanwhile
        connection.sock.shutdown(socket.SHUT_RDWR)


def _is_success(status: int) -> bool:
    return http.HTTPStatus.OK <= status < http.HTTPStatus.BAD_REQUEST


def _judge(url: str, status: int, phrase: str, body: bytes) -> Readiness:
    """Turn an answer into a readiness.

    >>> _judge("http://127.0.0.1:8000/readyz", 200, "OK", b"").is_ready
    True
    >>> _judge("http://127.0.0.1:8000/readyz", 503, "Service Unavailable", b"the model is being loaded").reason
    'http://127.0.0.1:8000/readyz answered 503 Service Unavailable: the model is being loaded'
    """
    if _is_success(status):
        return Readiness(is_ready=True)
    said = " ".join(body.decode(errors="replace").split())
    answer = f"{url} answered {status} {phrase}".rstrip()
    return Readiness(is_ready=False, reason=f"{answer}: {said}" if said else answer)
