"""The tests' fake engine in the place of vLLM's server: in an image of the tests the adapter takes this function.

All else of the stage is what it is with vLLM: its options, its probes, its stop, its record.
"""

from __future__ import annotations

import asyncio
import time

from aiohttp import web

from fake_engine import FakeEngine, Settings
from practicum_jobs.adapters.engine_server import Served

POLL_S = 0.05


def serve_until_stopped(settings, is_stop_requested):
    """Serve until a stop is requested, then let open requests end."""
    return asyncio.run(_serve(settings, is_stop_requested))


async def _serve(settings, is_stop_requested):
    if settings.config.quantization == "broken":
        raise ValueError("no such quantization")
    started_s = time.monotonic()
    engine = FakeEngine(Settings(step_s=0.05, max_running=settings.config.max_num_seqs))
    engine.models = list(settings.names)
    app = engine.build_app()
    for path in ("/readyz", "/healthz"):
        app.router.add_get(path, _tell_well)
    drain_s = max(settings.config.drain_s, 1)
    runner = web.AppRunner(app, handler_cancellation=True, access_log=None, shutdown_timeout=drain_s)
    await runner.setup()
    await web.TCPSite(runner, settings.host, settings.port).start()
    computing = asyncio.create_task(engine.run())
    served = Served({"first_token_s": time.monotonic() - started_s}, dtype="none")
    served.max_model_tokens = engine.settings.max_model_tokens
    while not is_stop_requested():  # noqa: ASYNC110 - set by a signal handler outside of the loop
        await asyncio.sleep(POLL_S)
    await runner.cleanup()
    computing.cancel()
    served.num_requests, served.completion_tokens = len(engine.bodies), engine.num_generated
    return served


async def _tell_well(request):
    return web.Response(text="ok")
