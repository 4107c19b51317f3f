"""The program of the stage ``gateway``: the application served by uvicorn until a stop is requested."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import gc
import os
import resource
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol

import uvicorn

from practicum_core.api_keys import KEY_FILE, KEYS_VARIABLE, change_key_file
from practicum_core.faults import GATEWAY_FAULT_FILE
from practicum_core.layout import StageLayout
from practicum_core.metrics import Metric
from practicum_core.rungs import RUNG_FILE
from practicum_core.stage_process import HOST_VARIABLE, PARENT_VARIABLE, PORT_VARIABLE
from practicum_core.stages.gateway import REDIS_PASSWORD_VARIABLE, GatewayConfig, GatewayRecord
from practicum_core.trace_names import TRACE_FILE
from practicum_core.traffic import TRAFFIC
from practicum_gateway.admission import Admission, LocalAdmission, SharedAdmission
from practicum_gateway.app import Gateway
from practicum_gateway.connection import build_protocol
from practicum_gateway.log_lines import configure_log
from practicum_gateway.surroundings import Surroundings

_POLL_S = 0.05
_TELL_S = 2.0
_KEEPALIVE_S = 75
_BACKLOG = 2048
_GC_THRESHOLDS = (20_000, 20, 50)
"""How many more objects are made than freed before a collection, and collections before one of older objects."""


class Context(Protocol):
    """What the gateway needs of the run that it is a step of (``practicum_jobs.context.StageContext``)."""

    @property
    def experiments(self) -> Path:
        """Folder of all runs."""
        ...

    @property
    def layout(self) -> StageLayout:
        """Paths of the step."""
        ...

    @property
    def is_stop_requested(self) -> bool:
        """Whether a stop was requested."""
        ...

    def build_record_fields(self) -> dict[str, Any]:
        """Return the fields that every record starts with."""
        ...


class _Server(uvicorn.Server):
    """uvicorn without signal handlers: the stage has its own."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def run(config: GatewayConfig, ctx: Context) -> GatewayRecord:
    """Serve until a stop is requested, then let open requests end.

    Raises:
        DataError: The file of keys, or the knowledge base, is broken.
    """
    raise_file_limit()
    configure_log(sys.stderr, has_requests=config.request_log)
    keys = list_key_files(config, ctx.experiments)
    surroundings = Surroundings(ctx.layout.root / GATEWAY_FAULT_FILE if config.faults else None, time.monotonic)
    gateway = Gateway(
        config,
        keys if config.require_key else (),
        admission=build_admission(config),
        pin_file=ctx.experiments / RUNG_FILE,
        traffic_file=ctx.layout.artifacts / TRAFFIC,
        surroundings=surroundings,
    )
    if config.faults:
        surroundings.replace_wall_clock()
    if config.traces:
        from practicum_gateway.tracing import build_traces  # noqa: PLC0415 - OpenTelemetry, only where it is used

        gateway.traces = build_traces(config, ctx.layout.artifacts / TRACE_FILE, time.monotonic)
    tune_garbage_collection()
    host, port = os.environ.get(HOST_VARIABLE, "127.0.0.1"), int(os.environ[PORT_VARIABLE])
    server = _Server(build_server_config(gateway, config, host, port))
    try:
        with asyncio.Runner(loop_factory=_make_loop) as runner:
            runner.run(serve(gateway, server, ctx))
    finally:
        if config.session_key and _is_command_gone():
            now = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
            change_key_file(keys[-1], lambda file: file.revoke_if_valid(config.session_key, now))
    totals = asdict(gateway.counters.totals)
    ladder = gateway.degradation
    return GatewayRecord(
        **ctx.build_record_fields(),
        **totals,
        rung_changes=[] if ladder is None else ladder.history.list_changes(),
        num_degraded=0 if ladder is None else ladder.history.num_degraded,
        metrics=[Metric(name=name, value=value) for name, value in totals.items()],
    )


def tune_garbage_collection() -> None:
    """Have less collected: what is there at the start never, and what requests leave less often.

    A full collection walked through the former for 80 ms. The latter is hardly ever a circle, which alone needs a
    collection; to look for one at every 700 objects took 8% of the processor time of a request.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_GC_THRESHOLDS)


def list_key_files(config: GatewayConfig, experiments: Path) -> list[Path]:
    """Return the files of keys. In a pod, the student's ConfigMap has those made by people.

    Steps of a run that make a key for themselves, such as a load test, write it into the folder of all runs.
    """
    if config.keys:
        return [Path(config.keys)]
    told = os.environ.get(KEYS_VARIABLE)
    return [*([Path(told)] if told else []), experiments / KEY_FILE]


def build_admission(config: GatewayConfig) -> Admission:
    """Build what holds the limits: this process, or Redis for several gateways."""
    if not config.redis_url:
        return LocalAdmission()
    return SharedAdmission(config.redis_url, os.environ.get(REDIS_PASSWORD_VARIABLE, ""), time.monotonic)


def _is_command_gone() -> bool:
    """Whether the command that started this process was killed: it revokes its key itself where it ends otherwise."""
    parent = os.environ.get(PARENT_VARIABLE)
    return parent is not None and os.getppid() != int(parent)


def raise_file_limit() -> None:
    """Allow as many open files as the system does: each stream takes two, and the usual limit is 1,024."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def build_server_config(gateway: Gateway, config: GatewayConfig, host: str, port: int) -> uvicorn.Config:
    """Build what uvicorn is told."""
    return uvicorn.Config(
        gateway,
        host=host,
        port=port,
        http=build_protocol(config),
        ws="none",
        lifespan="off",
        access_log=False,
        log_level="error",
        server_header=False,
        date_header=False,
        proxy_headers=False,
        backlog=_BACKLOG,
        timeout_keep_alive=_KEEPALIVE_S,
        timeout_graceful_shutdown=max(int(config.drain_s), 1),
    )


async def serve(gateway: Gateway, server: uvicorn.Server, ctx: Context) -> None:
    """Serve until the context or the server itself says that it is over. A start that fails is closed too."""
    watcher = asyncio.create_task(_watch_stop(gateway, server, ctx))
    try:
        await gateway.start()
        await server.serve()
    finally:
        watcher.cancel()
        if server.server_state.tasks:
            # uvicorn has cancelled them. What they tell of themselves belongs into files that end now.
            await asyncio.wait(server.server_state.tasks, timeout=_TELL_S)
        await gateway.close()


async def _watch_stop(gateway: Gateway, server: uvicorn.Server, ctx: Context) -> None:
    while not ctx.is_stop_requested:  # noqa: ASYNC110 - set by a signal handler outside of the loop
        await asyncio.sleep(_POLL_S)
    gateway.is_draining = True
    server.should_exit = True


def _make_loop() -> asyncio.AbstractEventLoop:
    import uvloop  # noqa: PLC0415 - the application itself runs on any loop

    return uvloop.new_event_loop()
