"""Resolver, wall clock and knowledge base of a gateway, and how experiments break them: by a file of its step.

Off without ``gateway.faults``. The file says what is broken and for how long; the time is counted by the monotonic
clock from when the gateway saw it, so that a fault ends by itself whatever became of who wrote the file.
"""

from __future__ import annotations

import json
import logging
import socket
import time
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from pydantic import ValidationError

from practicum_core.faults import GatewayFault
from practicum_core.stages.upstreams import UpstreamConfig
from practicum_gateway.clock import Clock
from practicum_gateway.discovery import Resolve, resolve_host

LOOPBACK, LOOPBACK_NAME = "127.0.0.1", "localhost"
_LOOK_S = 0.1
_LOG = logging.getLogger(__name__)


class Surroundings:
    """What a gateway takes from its machine.

    Args:
        path: File with a :class:`practicum_core.faults.GatewayFault`; ``None`` where nothing is ever broken.
        clock: Monotonic seconds.
        resolve: Looks up the addresses of a host.
    """

    def __init__(self, path: Path | None, clock: Clock, resolve: Resolve = resolve_host) -> None:
        self._path = path
        self._clock = clock
        self._resolve = resolve
        self._looked_s = -float("inf")
        self._content = b""
        self._fault = GatewayFault()
        self._ends_s = 0.0

    @property
    def fault(self) -> GatewayFault:
        """What is broken now; the file is looked at ten times a second at most."""
        now_s = self._clock()
        if self._path is not None and now_s - self._looked_s >= _LOOK_S:
            self._looked_s = now_s
            self._read(self._path, now_s)
        return self._fault if now_s < self._ends_s else GatewayFault()

    def _read(self, path: Path, now_s: float) -> None:
        try:
            content = path.read_bytes()
        except OSError:
            content = b""
        if content == self._content:
            return
        self._content = content
        try:
            self._fault = GatewayFault.model_validate_json(content) if content else GatewayFault()
        except ValidationError as error:
            _LOG.warning("%s says nothing that could be broken: %s", path, error)
            self._fault = GatewayFault()
        self._ends_s = now_s + self._fault.for_s
        _LOG.warning("faults of the surroundings: %s", json.dumps(self._fault.model_dump(mode="json")))

    def replace_wall_clock(self) -> None:
        """Replace this process's wall clock by one that may jump: what reads ``time.time`` sees it, libraries too.

        Limits, breakers, deadlines and leases must not notice: they count by the monotonic clock.
        """
        real, real_ns = time.time, time.time_ns
        vars(time)["time"] = lambda: real() + self.fault.clock_jump_s
        vars(time)["time_ns"] = lambda: real_ns() + int(self.fault.clock_jump_s * 1e9)

    def name_upstreams(self, upstreams: Sequence[UpstreamConfig]) -> tuple[UpstreamConfig, ...]:
        """Return the engines with a name in place of the loopback address, where names are to be broken."""
        if self._path is None:
            return tuple(upstreams)
        return tuple(one.model_copy(update={"url": _name_host(one.url)}) for one in upstreams)

    def refuse_names(self) -> None:
        """Fail as the system's resolver does while names do not resolve.

        Raises:
            OSError: They do not.
        """
        if self.fault.has_no_names:
            raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    def refuse_searches(self) -> None:
        """Fail while the knowledge base cannot be searched.

        Raises:
            OSError: It cannot be.
        """
        if self.fault.has_no_search:
            raise ConnectionError("the knowledge base is away")

    async def look_up(self, host: str) -> Sequence[str]:
        """Look up the addresses of replicas.

        Raises:
            OSError: Nobody knows.
        """
        self.refuse_names()
        return await self._resolve(host)

    def build_connector(self, keepalive_s: float) -> aiohttp.TCPConnector:
        """Build the connections to the engines; with faults, names are looked up for each new one."""
        if self._path is None:
            return aiohttp.TCPConnector(limit=0, keepalive_timeout=keepalive_s)
        return aiohttp.TCPConnector(
            limit=0, keepalive_timeout=keepalive_s, resolver=_Resolver(self), use_dns_cache=False, family=socket.AF_INET
        )


class _Resolver(AbstractResolver):
    """The system's resolver, while names resolve."""

    def __init__(self, surroundings: Surroundings) -> None:
        self._surroundings = surroundings
        self._system = aiohttp.ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        self._surroundings.refuse_names()
        return await self._system.resolve(host, port, family)

    async def close(self) -> None:
        await self._system.close()


def _name_host(url: str) -> str:
    """Return an address with the name of this machine's loopback.

    >>> _name_host("http://127.0.0.1:8000"), _name_host("http://10.0.0.7:8000")
    ('http://localhost:8000', 'http://10.0.0.7:8000')
    """
    parts = urlsplit(url)
    if parts.hostname != LOOPBACK:
        return url
    return parts._replace(netloc=parts.netloc.replace(LOOPBACK, LOOPBACK_NAME, 1)).geturl()
