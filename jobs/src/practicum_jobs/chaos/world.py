"""What an experiment acts on: the servers of this run, the fault proxy, and the gateway."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from practicum_core.api_keys import get_key_id
from practicum_core.errors import ConfigError, PlatformError, Reason
from practicum_core.faults import FAULT_PATH, Fault
from practicum_core.rungs import RungChange
from practicum_jobs.chaos.servers import Servers

_TIMEOUT_S = 30.0
_MAX_TEXT = 300
_REFUSED = range(400, 500)


@dataclass(frozen=True)
class Ladder:
    """What a gateway says of its ladder.

    ``is_settled`` says that no return from a rung is still held against the next one.
    """

    rung: str
    is_settled: bool
    changes: list[RungChange]


@dataclass(frozen=True)
class Addresses:
    """Where requests and faults go.

    Attributes:
        url: Of the gateway, or of any server of OpenAI's API, with or without /v1.
        key: Of its requests; empty for none.
        proxy_url: Of the fault proxy; empty where there is none.
        proxy_key: Of whoever may set a fault.
        model: That is asked; the first one listed without it.
        keys: File in which the key of the requests stands; ``None`` where it is not a gateway's of this machine.
    """

    url: str
    key: str = ""
    proxy_url: str = ""
    proxy_key: str = ""
    model: str = ""
    keys: Path | None = None


class World:
    """The service under test.

    Args:
        servers: The servers of a run, which may be broken.
        session: Connections.
        addresses: Where requests and faults go.
    """

    def __init__(self, servers: Servers, session: aiohttp.ClientSession, addresses: Addresses) -> None:
        self.servers = servers
        self._session = session
        self._url = addresses.url.rstrip("/").removesuffix("/v1")
        self._proxy_url = addresses.proxy_url.rstrip("/")
        self._proxy_key = addresses.proxy_key
        self._headers = {"authorization": f"Bearer {addresses.key}"} if addresses.key else {}
        self._addresses = addresses

    def get_own_key(self) -> tuple[Path, str]:
        """Return the file of the requests' key, and its id there.

        Raises:
            ConfigError: The requests have no key of a gateway of this machine.
        """
        if self._addresses.keys is None:
            raise ConfigError(
                "the requests have no key of their own that could be revoked", "use a gateway of this machine"
            )
        return self._addresses.keys, get_key_id(self._addresses.key)

    async def is_admitted(self) -> bool:
        """Whether the gateway takes the key of the requests.

        Raises:
            PlatformError: It does not answer.
        """
        address = f"{self._url}/v1/models"
        try:
            async with self._session.get(address, headers=self._headers) as answer:
                return answer.ok
        except (aiohttp.ClientError, TimeoutError) as error:
            raise _build_error(f"{address}: {error or type(error).__name__}") from error

    async def count_upstream(self) -> int:
        """Ask the fault proxy how many requests it got.

        Raises:
            ConfigError: There is no proxy.
            PlatformError: It does not answer.
        """
        address = self._find_proxy()
        try:
            async with self._session.get(address) as answer:
                return int(json.loads(await answer.read())["num_posts"])
        except (aiohttp.ClientError, TimeoutError, ValueError, KeyError) as error:
            raise _build_error(f"{address}: {error or type(error).__name__}") from error

    def _find_proxy(self) -> str:
        if not self._proxy_url:
            raise ConfigError(
                "this service has no fault proxy",
                "start it with `practicum serve MODEL --with-faults`, or use actions on processes",
            )
        return f"{self._proxy_url}{FAULT_PATH}"

    async def set_fault(self, fault: Fault | None) -> None:
        """Have the proxy fault requests, or pass all where there is no fault.

        Raises:
            ConfigError: There is no proxy.
            PlatformError: It does not answer.
        """
        address = self._find_proxy()
        body = None if fault is None else fault.model_dump_json().encode()
        method = "DELETE" if fault is None else "PUT"
        headers = {"authorization": f"Bearer {self._proxy_key}"} if self._proxy_key else {}
        try:
            async with self._session.request(method, address, data=body, headers=headers) as answer:
                if not answer.ok:
                    raise _build_error(f"{address} answered {answer.status}")
        except (aiohttp.ClientError, TimeoutError) as error:
            raise _build_error(f"{address}: {error or type(error).__name__}") from error

    async def read_ladder(self) -> Ladder | None:
        """Ask the gateway for its ladder; ``None`` where it has none, or is another server.

        Raises:
            PlatformError: It does not answer.
        """
        address = f"{self._url}/ladder"
        try:
            async with self._session.get(address) as answer:
                body = await answer.read()
                if answer.status in _REFUSED:
                    return None
                page = json.loads(body)
                changes = [RungChange.model_validate(one) for one in page["changes"]]
                return Ladder(str(page["rung"]), bool(page["is_settled"]), changes)
        except (aiohttp.ClientError, TimeoutError, ValueError, KeyError) as error:
            raise _build_error(f"{address}: {error or type(error).__name__}") from error

    async def ask_in_full(self, timeout_s: float = _TIMEOUT_S) -> bool:
        """Ask one short question; return whether the model answered it, as it was asked."""
        body: dict[str, Any] = {
            "model": self._addresses.model,
            "messages": [{"role": "user", "content": "Say ok."}],
            "max_tokens": 4,
        }
        timeout = aiohttp.ClientTimeout(total=timeout_s)
        address = f"{self._url}/v1/chat/completions"
        try:
            async with self._session.post(address, json=body, headers=self._headers, timeout=timeout) as answer:
                await answer.read()
                return answer.ok and "x-practicum-degraded" not in answer.headers
        except (aiohttp.ClientError, TimeoutError):
            return False


def _build_error(text: str) -> PlatformError:
    return PlatformError(Reason.UPSTREAM_UNAVAILABLE, text[:_MAX_TEXT], "see the log of that server's step")
