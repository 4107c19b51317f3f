"""What an experiment acts on: the processes of this run's servers, the fault proxy, and the gateway."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import psutil

from practicum_core.errors import ConfigError, PlatformError, Reason, suggest_similar
from practicum_core.faults import FAULT_PATH, Fault
from practicum_core.layout import RunLayout
from practicum_core.rungs import RungChange
from practicum_core.stage_process import find_server_key
from practicum_runtime.child_note import read_child_note
from practicum_runtime.process_tree import find_process

_TIMEOUT_S = 30.0
_MAX_TEXT = 300


@dataclass(frozen=True)
class Ladder:
    """What a gateway says of its ladder.

    ``is_settled`` says that no return from a rung is still held against the next one.
    """

    rung: str
    is_settled: bool
    changes: list[RungChange]


class World:
    """The service under test.

    Args:
        run: The run directory whose servers may be broken.
        session: Connections.
        url: Address of the gateway, without /v1.
        proxy_url: Address of the fault proxy; empty where there is none.
        key: Of the gateway.
        own_step: The step that experiments; it is no target.
    """

    def __init__(
        self, run: RunLayout, session: aiohttp.ClientSession, url: str, proxy_url: str, key: str, own_step: str
    ) -> None:
        self._run = run
        self._session = session
        self._url = url.rstrip("/").removesuffix("/v1")
        self._proxy_url = proxy_url.rstrip("/")
        self._headers = {"authorization": f"Bearer {key}"} if key else {}
        self._own_step = own_step

    def find_target(self, step: str) -> psutil.Process:
        """Find the process of a server of this run.

        Raises:
            ConfigError: The run has no such server, or it runs elsewhere.
        """
        servers = [
            path.name
            for path in sorted(Path(self._run.stages).iterdir())
            if (path / "port.json").exists() and path.name != self._own_step
        ]
        if step not in servers:
            raise ConfigError(
                f"'{step}' is no server of this run{suggest_similar(step, servers)}",
                f"name one of its own servers: {', '.join(servers) or 'it has none on this machine'}",
            )
        note = read_child_note(self._run.stage(step))
        process = find_process(note.pid, note.created_s) if note else None
        if process is None:
            raise ConfigError(f"no process of {step} runs on this machine", "run the unit on a laptop")
        return process

    async def set_fault(self, fault: Fault | None) -> None:
        """Have the proxy fault requests, or pass all where there is no fault.

        Raises:
            ConfigError: There is no proxy.
            PlatformError: It does not answer.
        """
        if not self._proxy_url:
            raise ConfigError("this service has no fault proxy", "set chaos.proxy_url, or use actions on processes")
        address = f"{self._proxy_url}{FAULT_PATH}"
        body = None if fault is None else fault.model_dump_json().encode()
        method = "DELETE" if fault is None else "PUT"
        key = find_server_key(self._proxy_url, os.environ)
        headers = {"authorization": f"Bearer {key}"} if key else {}
        try:
            async with self._session.request(method, address, data=body, headers=headers) as answer:
                if not answer.ok:
                    raise _build_error(f"{address} answered {answer.status}")
        except (aiohttp.ClientError, TimeoutError) as error:
            raise _build_error(f"{address}: {error or type(error).__name__}") from error

    async def read_ladder(self) -> Ladder:
        """Ask the gateway for its ladder.

        Raises:
            ConfigError: Its ladder is off.
            PlatformError: It does not answer.
        """
        address = f"{self._url}/ladder"
        try:
            async with self._session.get(address) as answer:
                body = await answer.read()
                if answer.status == 404:  # noqa: PLR2004 - HTTP's own number
                    raise ConfigError(f"{address}: the gateway has no ladder", "set gateway.ladder=true")
                page = json.loads(body)
                changes = [RungChange.model_validate(one) for one in page["changes"]]
                return Ladder(str(page["rung"]), bool(page["is_settled"]), changes)
        except (aiohttp.ClientError, TimeoutError, ValueError, KeyError) as error:
            raise _build_error(f"{address}: {error or type(error).__name__}") from error

    async def list_models(self) -> list[str]:
        """List the models of the gateway.

        Raises:
            PlatformError: It does not answer, or not as OpenAI's API does.
        """
        address = f"{self._url}/v1/models"
        try:
            async with self._session.get(address, headers=self._headers) as answer:
                text = await answer.text()
                return [str(model["id"]) for model in json.loads(text)["data"]]
        except (aiohttp.ClientError, TimeoutError, ValueError, KeyError, TypeError) as error:
            raise _build_error(f"{address}: {error or type(error).__name__}") from error

    async def ask_in_full(self, model: str, timeout_s: float = _TIMEOUT_S) -> bool:
        """Ask the gateway one short question; return whether the model answered it, as it was asked."""
        body: dict[str, Any] = {
            "model": model,
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
