"""The proxy as a server stage, until a stop is requested."""

from __future__ import annotations

import asyncio
import os

from aiohttp import web

from practicum_core.metrics import Metric
from practicum_core.stage_process import HOST_VARIABLE, PORT_VARIABLE, SERVER_KEY_VARIABLE
from practicum_core.stages.faultproxy import FaultproxyConfig, FaultproxyRecord
from practicum_jobs.context import StageContext
from practicum_jobs.faultproxy.proxy import FaultProxy

_POLL_S = 0.05
_SHUTDOWN_S = 1.0


def run(config: FaultproxyConfig, ctx: StageContext) -> FaultproxyRecord:
    """Pass requests on until a stop is requested."""
    proxy = FaultProxy(config.upstream, os.environ.get(SERVER_KEY_VARIABLE, ""))
    asyncio.run(_serve(proxy, ctx))
    counts = {"num_passed": proxy.num_passed, "num_hit": proxy.num_hit}
    metrics = [Metric(name=name, value=value) for name, value in counts.items()]
    return FaultproxyRecord(**ctx.build_record_fields(), **counts, metrics=metrics)


async def _serve(proxy: FaultProxy, ctx: StageContext) -> None:
    # A request whose client goes away is cancelled, and so is its request to the engine.
    runner = web.AppRunner(proxy.build_app(), handler_cancellation=True, access_log=None, shutdown_timeout=_SHUTDOWN_S)
    await runner.setup()
    host, port = os.environ.get(HOST_VARIABLE, "127.0.0.1"), int(os.environ[PORT_VARIABLE])
    try:
        await web.TCPSite(runner, host, port, reuse_address=True).start()
        while not ctx.is_stop_requested:  # noqa: ASYNC110 - set by a signal handler outside of the loop
            await asyncio.sleep(_POLL_S)
    finally:
        await runner.cleanup()
