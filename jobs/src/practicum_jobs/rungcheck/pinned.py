"""The gateway's ladder, pinned to one rung after another, and left as it was found."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp

from practicum_core.atomic import write_json_atomic, write_text_atomic
from practicum_core.errors import ConfigError, PlatformError, Reason
from practicum_core.rungs import Rung

_POLL_S = 0.1
_ABSENT = 404


@contextlib.contextmanager
def keep_pin(path: Path) -> Iterator[None]:
    """Put back what a pin file says, or remove it where there was none."""
    before = path.read_text(encoding="utf-8") if path.exists() else None
    try:
        yield
    finally:
        if before is None:
            path.unlink(missing_ok=True)
        else:
            write_text_atomic(path, before)


async def list_rungs(session: aiohttp.ClientSession, url: str) -> list[Rung]:
    """List the rungs of a gateway's ladder, best first.

    Raises:
        ConfigError: It has no ladder.
        PlatformError: It does not answer.
    """
    return [Rung(name) for name in (await _read_page(session, url))["rungs"]]


async def pin_rung(session: aiohttp.ClientSession, url: str, path: Path, rung: Rung, timeout_s: float) -> None:
    """Pin a rung, and return once the gateway has it.

    Raises:
        PlatformError: It does not take the rung in time.
    """
    write_json_atomic(path, {"rung": rung})
    deadline_s = time.monotonic() + timeout_s
    while True:
        page = await _read_page(session, url)
        if page["is_pinned"] and page["rung"] == rung:
            return
        if time.monotonic() >= deadline_s:
            raise PlatformError(
                Reason.UPSTREAM_UNAVAILABLE,
                f"{url}: the gateway did not take the rung '{rung}' from {path} in {timeout_s:g} s",
                "set rung_file to the file that the gateway reads (gateway.rung_file)",
            )
        await asyncio.sleep(_POLL_S)


async def _read_page(session: aiohttp.ClientSession, url: str) -> dict[str, Any]:
    address = f"{url}/ladder"
    try:
        async with session.get(address) as answer:
            if answer.status == _ABSENT:
                raise ConfigError(f"{address}: the gateway has no ladder", "set gateway.ladder=true")
            answer.raise_for_status()
            page: dict[str, Any] = json.loads(await answer.read())
            return page
    except (aiohttp.ClientError, TimeoutError, ValueError) as error:
        raise PlatformError(
            Reason.UPSTREAM_UNAVAILABLE, f"{address}: {error or type(error).__name__}", "see the gateway's log"
        ) from error
