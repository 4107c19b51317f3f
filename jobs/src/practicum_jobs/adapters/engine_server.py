"""What the servers of all engines share: where they listen, their first answer, how they end, what they did."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import uvicorn

from practicum_core.errors import ConfigError, PlatformError, Reason, Stopped
from practicum_core.stages.serve import ServeConfig
from practicum_jobs.adapters.doorway import Application, Doorway

_POLL_S = 0.05
_FIRST_ANSWER_S = 300.0
_KEEPALIVE_S = 75
_OK = 200


@dataclass(frozen=True)
class ServerSettings:
    """What is served, and where.

    Attributes:
        config: How it is run.
        path: Folder of the model, or its GGUF file.
        names: Names of the model in requests, the usual one first.
        host: Address to listen on.
        port: Port to listen on.
        adapters: Folder of each LoRA adapter, by its name in requests.
        lora_rank: The rank that memory is set aside for.
        key: What requests must carry; empty where none is asked for.
        num_threads: Threads that it computes with, where the engine lets one choose.
        log: Where the output of this process and of those that it starts goes.
        trace_endpoint: Where its spans go, by OTLP over HTTP; empty for none.
    """

    config: ServeConfig
    path: Path
    names: tuple[str, ...]
    host: str
    port: int
    adapters: Mapping[str, Path] = field(default_factory=dict)
    lora_rank: int = 16
    key: str = field(default="", repr=False)
    num_threads: int = 1
    log: Path = Path(os.devnull)
    trace_endpoint: str = ""


@dataclass
class Served:
    """What a server did from its start to its end.

    Attributes:
        start_parts_s: Seconds of each part of its start, in order.
        start_details_s: Seconds of what is inside one of these parts, where the engine says it.
        dtype: What it computed in.
        max_model_tokens: Tokens of a prompt with its answer.
        num_requests: Requests that ended.
        prompt_tokens: Of all requests.
        completion_tokens: Of all requests.
    """

    start_parts_s: dict[str, float] = field(default_factory=dict)
    start_details_s: dict[str, float] = field(default_factory=dict)
    dtype: str = ""
    max_model_tokens: int = 0
    num_requests: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0


def require_free_port(host: str, port: int) -> None:
    """Check that a server could listen, before minutes are spent on a model.

    Raises:
        ConfigError: Another program has the port, or this user may not listen there.
    """
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise ConfigError(f"port {port} of {host}: {error.strerror}", "choose another port") from error


async def serve_application(
    app: Application,
    is_alive: Callable[[], bool],
    settings: ServerSettings,
    served: Served,
    is_stop_requested: Callable[[], bool],
) -> None:
    """Serve an engine's application until a stop is requested; it is ready after a real answer.

    Raises:
        ConfigError: It answers with an error.
        PlatformError: The engine died.
        Stopped: A stop was requested before it was ready.
    """
    with timed(served, "server_s"):
        doorway = Doorway(app, is_alive, settings.key)
        server = _build_server(doorway, settings)
        serving = asyncio.create_task(server.serve())
        while not server.started and not serving.done():  # noqa: ASYNC110 - uvicorn's own flag
            await asyncio.sleep(_POLL_S)
    try:
        served.start_parts_s["first_token_s"] = await answer_once(settings, is_stop_requested)
        doorway.is_ready = True
        while is_alive() and not (is_stop_requested() or serving.done()):  # noqa: ASYNC110 - set by a signal
            await asyncio.sleep(_POLL_S)
        if not is_stop_requested():
            raise PlatformError(Reason.STAGE_CRASHED, "the engine died", "read the step's log; it is started again")
    finally:
        server.should_exit = True
        await serving


def _build_server(app: Doorway, settings: ServerSettings) -> uvicorn.Server:
    class Server(uvicorn.Server):
        @contextlib.contextmanager
        def capture_signals(self) -> Iterator[None]:
            yield

    return Server(
        uvicorn.Config(
            app,
            host=settings.host,
            port=settings.port,
            ws="none",
            access_log=False,
            log_level="warning",
            timeout_keep_alive=_KEEPALIVE_S,
            timeout_graceful_shutdown=max(int(settings.config.drain_s), 1),
        )
    )


async def answer_once(settings: ServerSettings, is_stop_requested: Callable[[], bool]) -> float:
    """Ask for a short answer, and return the seconds to its first token.

    Raises:
        ConfigError: The server answers with an error, as where the chat template fails.
    """
    request = {
        "model": settings.names[0],
        "messages": [{"role": "user", "content": "Say hello."}],
        "max_tokens": 2,
        "stream": True,
    }
    started_s, first_s = time.monotonic(), None
    headers = {"Authorization": f"Bearer {settings.key}"} if settings.key else {}
    async with httpx.AsyncClient(timeout=_FIRST_ANSWER_S, trust_env=False, headers=headers) as client:
        # A server that listens on every address of a pod answers on loopback too.
        url = f"http://127.0.0.1:{settings.port}/v1/chat/completions"
        async with client.stream("POST", url, json=request) as response:
            async for line in response.aiter_lines():
                if is_stop_requested():
                    raise Stopped
                event = line.removeprefix("data: ")
                if response.status_code != _OK or event.startswith('{"error"'):
                    raise ConfigError(
                        f"{settings.path}: the model gives no answer ({event[:300]})",
                        "correct its chat template or its files",
                        Reason.MODEL_MISSING,
                    )
                if first_s is None and event.startswith("{") and json.loads(event).get("choices"):
                    first_s = time.monotonic() - started_s
    if first_s is not None:
        return first_s
    raise ConfigError(f"{settings.path}: the model's first answer is empty", "read the step's log")


@contextlib.contextmanager
def timed(served: Served, name: str) -> Iterator[None]:
    """Note the seconds of one part of the start."""
    started_s = time.monotonic()
    yield
    served.start_parts_s[name] = time.monotonic() - started_s


@contextlib.contextmanager
def interrupted_by_stop() -> Iterator[None]:
    """Let a stop request interrupt what does not look for one: vLLM's start blocks for half a minute."""

    def interrupt(*_: object) -> None:
        raise Stopped

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
