"""The port of the fault proxy, which is closed while its fault is that connections are refused."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from aiohttp import web

from practicum_core.faults import FaultKind
from practicum_jobs.faultproxy.proxy import FaultProxy

_POLL_S = 0.05
_SHUTDOWN_S = 1.0
_ANSWER_S = 0.1
"""For whoever set the fault to get an answer."""


@contextlib.asynccontextmanager
async def serve_proxy(proxy: FaultProxy, host: str, port: int) -> AsyncIterator[str]:
    """Serve the proxy; gives its address.

    Args:
        proxy: What answers.
        host: Address of this machine to listen on.
        port: 0 for any free one.
    """
    # A request whose client goes away is cancelled, and so is its request to the engine.
    runner = web.AppRunner(proxy.build_app(), handler_cancellation=True, access_log=None, shutdown_timeout=_SHUTDOWN_S)
    await runner.setup()
    watching: asyncio.Task[None] | None = None
    try:
        site = web.TCPSite(runner, host, port, reuse_address=True)
        await site.start()
        port = runner.addresses[0][1]
        watching = asyncio.create_task(_refuse_on_demand(proxy, runner, site, (host, port)))
        yield f"http://{host}:{port}"
    finally:
        if watching is not None:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
        await runner.cleanup()


async def _refuse_on_demand(
    proxy: FaultProxy, runner: web.AppRunner, site: web.TCPSite, where: tuple[str, int]
) -> None:
    """Close the port and its connections while connections are to be refused, and open it again."""
    while True:
        await asyncio.sleep(_POLL_S)
        if proxy.fault.kind is not FaultKind.REFUSED:
            continue
        await asyncio.sleep(_ANSWER_S)
        await site.stop()
        for handler in list(runner.server.connections if runner.server is not None else []):
            if handler.transport is not None:
                handler.transport.abort()
        while proxy.fault.kind is FaultKind.REFUSED:  # noqa: ASYNC110 - the fault ends by the clock
            await asyncio.sleep(_POLL_S)
        site = await _open_again(runner, where)


async def _open_again(runner: web.AppRunner, where: tuple[str, int]) -> web.TCPSite:
    """Open the port, as soon as no other process has it that took it meanwhile."""
    while True:
        site = web.TCPSite(runner, *where, reuse_address=True)
        try:
            await site.start()
        except OSError:
            await site.stop()
            await asyncio.sleep(_POLL_S)
        else:
            return site
