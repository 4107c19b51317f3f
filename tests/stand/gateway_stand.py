"""What tests of the gateway share: the gateway on a real socket before fake engines, and OpenAI's client."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from dataclasses import dataclass, field
from pathlib import Path

import openai
import uvicorn

from fake_engine import FakeEngine, Settings, serve_engine
from practicum_core.api_keys import KeyLimits, change_key_file, make_key
from practicum_core.faults import GATEWAY_FAULT_FILE
from practicum_core.rungs import RUNG_FILE
from practicum_core.stages.gateway import GatewayConfig
from practicum_core.trace_names import TRACE_FILE
from practicum_core.traffic import TRAFFIC
from practicum_gateway.app import Gateway
from practicum_gateway.discovery import resolve_host
from practicum_gateway.stage import build_admission, build_server_config, serve
from practicum_gateway.surroundings import Surroundings

NOW = "2026-01-01T00:00:00+00:00"
HELLO = [{"role": "user", "content": "hello"}]


class Context:
    """The part of a run that the gateway needs."""

    experiments = Path()
    is_stop_requested = False


@dataclass
class Stand:
    url: str
    port: int
    gateway: Gateway
    engines: list[FakeEngine]
    keys: Path
    secret: str
    key_id: str
    context: Context
    server: uvicorn.Server
    clients: list[openai.AsyncOpenAI] = field(default_factory=list)

    @property
    def engine(self) -> FakeEngine:
        return self.engines[0]

    def client(self, secret: str | None = None, **options) -> openai.AsyncOpenAI:
        options = {"max_retries": 0, "timeout": 20, **options}
        client = openai.AsyncOpenAI(base_url=f"{self.url}/v1", api_key=secret or self.secret, **options)
        self.clients.append(client)
        return client

    def add_key(self, **limits) -> str:
        secret, key = make_key("student-02", KeyLimits(**limits), NOW)
        change_key_file(self.keys, lambda file: file.add(key))
        return secret

    def count_left(self) -> dict[str, int]:
        """Count what open requests hold; all of it is 0 when there are none."""
        meter = self.gateway._keys.authenticate(f"Bearer {self.secret}".encode()).meter
        return {
            "requests of the key": meter.num_open,
            "reserved tokens": meter.reserved_tokens,
            "places at the engines": self.gateway.turnstile.num_open,
            "waiting requests": self.gateway.turnstile.num_waiting,
            "requests of the retry budget": self.gateway._budget.num_open,
            "calls of engines": sum(upstream.num_open for upstream in self.gateway.pool.upstreams),
        }

    async def wait_until_idle(self, timeout_s: float = 20.0) -> float:
        """Wait until the engines run nothing; return the seconds that it took."""
        started_s = time.monotonic()
        while any(engine.running or engine.waiting for engine in self.engines):
            assert time.monotonic() - started_s < timeout_s, "the engine still works"
            await asyncio.sleep(0.01)
        return time.monotonic() - started_s


@contextlib.asynccontextmanager
async def build_stand(folder: Path, settings: Settings | None = None, num_engines: int = 1, limits=None, **options):
    """Serve a gateway with one key before fake engines."""
    keys = folder / options.pop("key_file", "keys.json")
    secret, key = make_key("student-01", KeyLimits(**(limits or {})), NOW)
    change_key_file(keys, lambda file: file.add(key))
    async with contextlib.AsyncExitStack() as stack:
        engines = [FakeEngine(settings) for _ in range(num_engines)]
        urls = [await stack.enter_async_context(serve_engine(engine)) for engine in engines]
        resolve = options.pop("resolve", resolve_host)
        if urls:
            options["upstreams"] = [{"name": f"engine-{number}", "url": url} for number, url in enumerate(urls)]
        config = GatewayConfig(**{"drain_s": 2, **options})
        pin_file = folder / RUNG_FILE
        admission, traffic_file = build_admission(config), folder / TRAFFIC
        fault_file = folder / GATEWAY_FAULT_FILE if config.faults else None
        gateway = Gateway(
            config,
            [keys],
            admission=admission,
            pin_file=pin_file,
            surroundings=Surroundings(fault_file, time.monotonic, resolve),
            traffic_file=traffic_file,
        )
        if config.traces:
            from practicum_gateway.tracing import build_traces  # noqa: PLC0415 - OpenTelemetry, only where it is used

            gateway.traces = build_traces(config, folder / TRACE_FILE, time.monotonic)
        port = find_port()
        server = uvicorn.Server(build_server_config(gateway, config, "127.0.0.1", port))
        server.capture_signals = contextlib.nullcontext
        context = Context()
        serving = asyncio.create_task(serve(gateway, server, context))
        while not (server.started and (config.hold_timeout_s or gateway.pool.is_known)):
            assert not serving.done(), serving
            await asyncio.sleep(0.01)
        stand = Stand(f"http://127.0.0.1:{port}", port, gateway, engines, keys, secret, key.id, context, server)
        try:
            yield stand
        finally:
            for client in stand.clients:
                await client.close()
            context.is_stop_requested = True
            await serving


def find_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
