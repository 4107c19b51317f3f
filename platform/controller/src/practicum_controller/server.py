"""The ports that the controller listens on: reports over TLS, metrics and health beside them in plain HTTP."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from pathlib import Path

from aiohttp import web

from practicum_controller import metrics
from practicum_controller.ingest import Certificate, Ingest, show_health
from practicum_controller.settings import Settings

_REFRESH_S = 60


@contextlib.asynccontextmanager
async def serve(settings: Settings, ingest: Ingest) -> AsyncIterator[None]:
    """Listen on both ports while the block runs."""
    certificate = Certificate(Path(settings.tls_dir))
    runners = [web.AppRunner(app, access_log=None) for app in (ingest.build_app(), build_metrics_app())]
    refresher = asyncio.create_task(_refresh(certificate))
    try:
        for runner in runners:
            await runner.setup()
        tls = certificate.context
        await web.SockSite(runners[0], listen_everywhere(settings.ingest_port), ssl_context=tls).start()
        await web.SockSite(runners[1], listen_everywhere(settings.metrics_port)).start()
        yield
    finally:
        refresher.cancel()
        for runner in runners:
            await runner.cleanup()


def listen_everywhere(port: int) -> socket.socket:
    """Listen on every address of the pod, IPv6 and IPv4; network policies say who reaches it.

    Raises:
        OSError: The port is taken.
    """
    if socket.has_dualstack_ipv6():
        # A kernel may know IPv6 and have it switched off: then there is no address to listen on.
        with contextlib.suppress(OSError):
            return socket.create_server(("", port), family=socket.AF_INET6, dualstack_ipv6=True)
    return socket.create_server(("", port))


def build_metrics_app() -> web.Application:
    """Return the application that shows metrics, and that the process is alive."""
    app = web.Application()
    app.router.add_get("/metrics", _show_metrics)
    app.router.add_get("/healthz", show_health)
    return app


async def _refresh(certificate: Certificate) -> None:
    while True:
        await asyncio.sleep(_REFRESH_S)
        with contextlib.suppress(OSError):
            certificate.refresh()


async def _show_metrics(_: web.Request) -> web.Response:
    return web.Response(body=metrics.render(), content_type="text/plain", charset="utf-8")
