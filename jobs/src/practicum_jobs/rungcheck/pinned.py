"""The gateway's ladder, pinned to one rung after another, and left as it was found."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import aiohttp

from practicum_core.atomic import write_json_atomic, write_text_atomic
from practicum_core.errors import ConfigError, PlatformError, Reason
from practicum_core.json_files import read_json_or_empty
from practicum_core.rungs import Rung

_POLL_S = 0.1
_ABSENT = 404
_LEASE_S = 15.0
"""After which the gateway lets go of a rung that nobody renews: a check that was killed leaves none pinned."""
_RENEW_S = 3.0


@contextlib.contextmanager
def keep_pin(path: Path) -> Iterator[None]:
    """Put back what a person pinned; remove the file where nobody did, or where it is of a check that was killed."""
    before = _read_own(path)
    try:
        yield
    finally:
        if before is None:
            path.unlink(missing_ok=True)
        else:
            write_text_atomic(path, before)


def _read_own(path: Path) -> str | None:
    """Return what a person wrote; ``None`` where there is nothing, or a lease."""
    if not path.exists():
        return None
    return None if "lease_s" in read_json_or_empty(path) else path.read_text(encoding="utf-8")


async def list_rungs(session: aiohttp.ClientSession, url: str) -> list[Rung]:
    """List the rungs of a gateway's ladder, best first.

    Raises:
        ConfigError: It has no ladder.
        PlatformError: It does not answer.
    """
    return [Rung(name) for name in (await _read_page(session, url))["rungs"]]


@contextlib.asynccontextmanager
async def hold_rung(
    session: aiohttp.ClientSession, url: str, path: Path, rung: Rung, timeout_s: float
) -> AsyncIterator[None]:
    """Pin a rung, wait until the gateway has it, and renew the lease of the pin meanwhile.

    Raises:
        PlatformError: It does not take the rung in time, or let go of it meanwhile; or the file cannot be written.
    """
    renewing = asyncio.create_task(_renew(path, rung))
    try:
        deadline_s = time.monotonic() + timeout_s
        while not await _has_pinned(session, url, rung):
            # It only ends by an error, which says more than that the rung is not there.
            if renewing.done():
                renewing.result()
            if time.monotonic() >= deadline_s:
                raise PlatformError(
                    Reason.UPSTREAM_UNAVAILABLE,
                    f"{url}: the gateway did not take the rung '{rung}' from {path} in {timeout_s:g} s",
                    "name a gateway whose runs lie in the same folder",
                )
            await asyncio.sleep(_POLL_S)
        yield
        if renewing.done():
            renewing.result()
        if not await _has_pinned(session, url, rung):
            raise PlatformError(
                Reason.UPSTREAM_UNAVAILABLE,
                f"{url}: the rung '{rung}' was not pinned any more when its rows had been asked",
                "try again, with fewer rows at the same time (concurrency) or no other check beside it",
            )
    finally:
        renewing.cancel()
        await asyncio.gather(renewing, return_exceptions=True)


async def _renew(path: Path, rung: Rung) -> None:
    for number in itertools.count():
        write_json_atomic(path, {"rung": rung, "lease_s": _LEASE_S, "renewal": number})
        await asyncio.sleep(_RENEW_S)


async def _has_pinned(session: aiohttp.ClientSession, url: str, rung: Rung) -> bool:
    page = await _read_page(session, url)
    return bool(page["is_pinned"] and page["rung"] == rung)


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
