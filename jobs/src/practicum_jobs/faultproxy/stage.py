"""The proxy as a server stage, until a stop is requested."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from practicum_core.faults import FAULT_KEY_FILE
from practicum_core.metrics import Metric
from practicum_core.stage_process import HOST_VARIABLE, PORT_VARIABLE, SERVER_KEY_VARIABLE
from practicum_core.stages.faultproxy import FaultproxyConfig, FaultproxyRecord
from practicum_jobs.context import StageContext
from practicum_jobs.faultproxy.listener import serve_proxy
from practicum_jobs.faultproxy.proxy import FaultProxy

_POLL_S = 0.05


def run(config: FaultproxyConfig, ctx: StageContext) -> FaultproxyRecord:
    """Pass requests on until a stop is requested."""
    key = os.environ.get(SERVER_KEY_VARIABLE, "")
    proxy = FaultProxy(config.upstream, key)
    with _show_key(ctx.layout.root / FAULT_KEY_FILE, key):
        asyncio.run(_serve(proxy, ctx))
    counts = {"num_passed": proxy.num_passed, "num_hit": proxy.num_hit}
    metrics = [Metric(name=name, value=value) for name, value in counts.items()]
    return FaultproxyRecord(**ctx.build_record_fields(), **counts, metrics=metrics)


@contextlib.contextmanager
def _show_key(path: Path, key: str) -> Iterator[None]:
    """Write the key for commands of this user while the proxy runs; nobody else can read it."""
    path.unlink(missing_ok=True)
    path.touch(mode=0o600, exist_ok=False)
    path.write_text(key, encoding="utf-8")
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


async def _serve(proxy: FaultProxy, ctx: StageContext) -> None:
    host, port = os.environ.get(HOST_VARIABLE, "127.0.0.1"), int(os.environ[PORT_VARIABLE])
    async with serve_proxy(proxy, host, port):
        while not ctx.is_stop_requested:  # noqa: ASYNC110 - set by a signal handler outside of the loop
            await asyncio.sleep(_POLL_S)
