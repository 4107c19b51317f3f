"""What the gateway finds out about the engines while it runs: their models, their replicas in DNS, changed weights."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import json
import logging
import socket
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
from pydantic import ValidationError

from practicum_core.errors import DataError
from practicum_core.stages.upstreams import UpstreamConfig, UpstreamTable
from practicum_gateway.upstream import Service, Upstream, UpstreamPool, read_models

Resolve = Callable[[str], Awaitable[Sequence[str]]]
"""Returns the addresses that a host has now.

Raises:
    OSError: Nobody knows, so that those from before stay.
"""
Name = Callable[[Sequence[UpstreamConfig]], tuple[UpstreamConfig, ...]]
"""Returns the same engines at the addresses at which they are asked."""
_ASK_MODELS_S = 5.0
_ASK_UNTIL_KNOWN_S = 0.25
_MAX_MODELS_BYTES = 4 << 20
_RESOLVE_S = 1.0
_LOOK_AT_FILE_S = 0.5
_FAMILIES = (socket.AF_INET, socket.AF_INET6)
_NO_ADDRESS = {socket.EAI_NONAME, socket.EAI_NODATA}
_LOG = logging.getLogger(__name__)


class Discovery:
    """Keeps the pool of engines up to date, between :meth:`start` and :meth:`close`.

    Args:
        pool: The engines.
        session: Connections.
        table: File of the services that is read again when it changes; ``None`` for none.
        resolve: Looks up addresses; the system's without it.
        name: Changes the addresses of a table that was read, as those from the start were.
    """

    def __init__(
        self,
        pool: UpstreamPool,
        session: aiohttp.ClientSession,
        table: Path | None,
        resolve: Resolve | None = None,
        name: Name = tuple,
    ) -> None:
        self._pool = pool
        self._session = session
        self._table = table
        self._resolve = resolve or resolve_host
        self._name = name
        self._table_watcher: asyncio.Task[None] | None = None
        self._watchers: dict[int, tuple[Upstream | Service, asyncio.Task[None]]] = {}

    def start(self) -> None:
        """Begin to watch."""
        self._pool.listeners.append(self._sync)
        if self._table is not None:
            self._table_watcher = asyncio.create_task(self._watch_table(self._table))
        self._sync()

    async def close(self) -> None:
        """End it."""
        self._pool.listeners.remove(self._sync)
        tasks = [task for _, task in self._watchers.values()]
        if self._table_watcher is not None:
            tasks.append(self._table_watcher)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _sync(self) -> None:
        """Watch each engine and each name, and none that is gone."""
        names = [service for service in self._pool.services.values() if service.config.discover]
        watched: list[Upstream | Service] = [*names, *self._pool.upstreams]
        wanted = {id(one): one for one in watched}
        for key in self._watchers.keys() - wanted.keys():
            self._watchers.pop(key)[1].cancel()
        for key in wanted.keys() - self._watchers.keys():
            one = wanted[key]
            watch = self._watch_models(one) if isinstance(one, Upstream) else self._watch_name(one)
            # The pair holds the object, so that no other gets its id.
            self._watchers[key] = (one, asyncio.create_task(watch))

    async def _watch_models(self, upstream: Upstream) -> None:
        while True:
            upstream.look_again.clear()
            try:
                await self._ask_models(upstream)
            except aiohttp.ClientConnectorError as error:
                _LOG.debug("%s takes no connections: %s", upstream.url, error)
                if upstream.is_known:
                    self._pool.note_unreachable(upstream)
                    # The event was set for this very task.
                    upstream.look_again.clear()
            except (aiohttp.ClientError, OSError, TimeoutError, ValueError, RecursionError) as error:
                _LOG.debug("%s did not tell its models: %s", upstream.url, error)
            await self._pause(upstream)

    async def _ask_models(self, upstream: Upstream) -> None:
        address = f"{upstream.url}/v1/models"
        async with asyncio.timeout(_ASK_MODELS_S), self._session.get(address, allow_redirects=False) as response:
            body = await _read_bounded(response)
            if response.status == 200:  # noqa: PLR2004 - HTTP's own number
                self._pool.learn(upstream, read_models(json.loads(body)))

    async def _pause(self, upstream: Upstream) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_ASK_MODELS_S if upstream.is_known else _ASK_UNTIL_KNOWN_S):
                await upstream.look_again.wait()
                # Not at once: requests say so one by one, and an engine that is not there would be asked as often.
                await asyncio.sleep(_ASK_UNTIL_KNOWN_S)

    async def _watch_name(self, service: Service) -> None:
        parts = urlsplit(service.config.url)
        port = parts.port or 80
        while True:
            try:
                addresses = await self._resolve(str(parts.hostname))
                self._pool.set_replicas(service, [build_url(address, port, parts.path) for address in addresses])
            except OSError as error:
                _LOG.debug("the replicas of %s stay as they were: %s", service.config.name, error)
            await asyncio.sleep(_RESOLVE_S)

    async def _watch_table(self, path: Path) -> None:
        stamp: tuple[int, int] | None = None
        while True:
            seen = _read_stamp(path)
            if seen != stamp:
                try:
                    self._pool.apply(self._name(read_table(path)))
                except DataError as error:
                    _LOG.warning("the engines stay as they were: %s", error.detail)
                stamp = seen
            await asyncio.sleep(_LOOK_AT_FILE_S)


def read_table(path: Path) -> tuple[UpstreamConfig, ...]:
    """Read the file of the services.

    Raises:
        DataError: It cannot be read, or something in it is wrong.
    """
    try:
        return UpstreamTable.model_validate_json(path.read_bytes()).upstreams
    except (OSError, ValidationError) as error:
        raise DataError(f"{path}: {error}", 'write {"upstreams": [{"name": ..., "url": ...}]}') from error


def _read_stamp(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino


async def resolve_host(host: str) -> list[str]:
    """Return the addresses of a host, sorted; none where DNS says that there are none.

    Raises:
        OSError: DNS does not answer.
    """
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except socket.gaierror as error:
        if error.errno in _NO_ADDRESS:
            return []
        raise
    addresses = {family: {str(address[0]) for kind, *_, address in found if kind == family} for family in _FAMILIES}
    # A pod of a cluster with both protocols has an address of each, and is one engine.
    return sorted(next((some for some in addresses.values() if some), set()))


def build_url(address: str, port: int, path: str = "") -> str:
    """Build the address of one replica.

    >>> build_url("10.0.0.7", 8000), build_url("fd00::7", 8000)
    ('http://10.0.0.7:8000', 'http://[fd00::7]:8000')
    """
    is_v6 = ipaddress.ip_address(address).version == 6  # noqa: PLR2004 - the protocol's number
    return f"http://[{address}]:{port}{path}" if is_v6 else f"http://{address}:{port}{path}"


async def _read_bounded(response: aiohttp.ClientResponse) -> bytes:
    """Read a body to its end, however many packets it comes in.

    Raises:
        ValueError: It is too long.
    """
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > _MAX_MODELS_BYTES:
            raise ValueError(f"the models are longer than {_MAX_MODELS_BYTES} bytes")
    return bytes(body)
