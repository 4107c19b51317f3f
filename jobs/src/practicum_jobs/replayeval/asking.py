"""Sends requests to a served model at given times, and keeps what it answered."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import httpx

from practicum_core.errors import PlatformError, Reason
from practicum_core.rows import Row

_OK = 200
_CONNECT_S = 10.0


@dataclass(frozen=True)
class Answered:
    """One request. ``problem`` says why there is no answer; empty where there is one."""

    text: str = ""
    is_stopped: bool = False
    late_s: float = 0.0
    e2e_s: float = 0.0
    problem: str = ""


@dataclass(frozen=True)
class Asking:
    """What is the same in all requests.

    Attributes:
        url: Address of the server, with or without /v1.
        max_new_tokens: Of an answer.
        timeout_s: For one answer.
        key: That the server asks for; empty for none.
    """

    url: str
    max_new_tokens: int
    timeout_s: float
    key: str = ""

    @property
    def headers(self) -> dict[str, str]:
        """Headers of every request."""
        return {"Authorization": f"Bearer {self.key}"} if self.key else {}

    @property
    def api(self) -> str:
        """Address of the server's API."""
        return f"{self.url.rstrip('/').removesuffix('/v1')}/v1"


def find_model(asking: Asking) -> str:
    """Return the name of the model that a server lists first.

    Raises:
        PlatformError: It does not answer, or lists none.
    """
    try:
        with httpx.Client(timeout=asking.timeout_s, headers=asking.headers, trust_env=False) as client:
            listed: Any = client.get(f"{asking.api}/models").raise_for_status().json()
            return str(listed["data"][0]["id"])
    except (httpx.HTTPError, ValueError, LookupError, TypeError) as error:
        # The lines of httpx after the first say where to read about the status.
        why = str(error).partition("\n")[0]
        raise PlatformError(
            Reason.UPSTREAM_UNAVAILABLE, f"{asking.api}: no model ({why})", "give the address of an OpenAI server"
        ) from error


async def ask_all(
    asking: Asking, model: str, rows: Sequence[Row], times: Sequence[float], note: Callable[[], None]
) -> list[Answered]:
    """Send each row at its time, whether earlier ones were answered or not, and return the answers in order.

    Args:
        asking: Where to, and how.
        model: Name in the requests.
        rows: What is asked.
        times: When, in seconds from now; not falling.
        note: Called after each answer.
    """
    loop = asyncio.get_running_loop()
    started_s = loop.time()
    timeout = httpx.Timeout(asking.timeout_s, connect=_CONNECT_S)
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=0)
    async with httpx.AsyncClient(timeout=timeout, limits=limits, headers=asking.headers, trust_env=False) as client:

        async def send(row: Row, at_s: float) -> Answered:
            late_s = loop.time() - started_s - at_s
            given = await _ask(client, asking, model, row)
            note()
            return Answered(given.text, given.is_stopped, late_s, loop.time() - started_s - at_s, given.problem)

        tasks = []
        for row, at_s in zip(rows, times, strict=True):
            await asyncio.sleep(max(started_s + at_s - loop.time(), 0))
            tasks.append(asyncio.create_task(send(row, at_s)))
        return list(await asyncio.gather(*tasks))


async def _ask(client: httpx.AsyncClient, asking: Asking, model: str, row: Row) -> Answered:
    body = {
        "model": model,
        "messages": [message.build_turn() for message in row.messages],
        "max_tokens": asking.max_new_tokens,
        "temperature": 0,
    }
    try:
        reply = await client.post(f"{asking.api}/chat/completions", json=body)
        if reply.status_code != _OK:
            return Answered(problem=f"HTTP {reply.status_code}: {' '.join(reply.text.split())[:200]}")
        choice: Any = reply.json()["choices"][0]
        return Answered(str(choice["message"]["content"] or ""), choice.get("finish_reason") == "stop")
    except (httpx.HTTPError, ValueError, LookupError, TypeError) as error:
        return Answered(problem=f"{type(error).__name__}: {error}"[:200])
