"""vLLM's HTTP server in this process, its engine in another: ready after a real answer, stopped when asked."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import time
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import uvicorn

from practicum_core.errors import ConfigError, PlatformError, Reason, Stopped
from practicum_core.machine import list_gpus
from practicum_core.stages.serve import ServeConfig
from practicum_jobs.adapters.host_metrics import register_host_metrics

_SETTINGS = {
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",
    "VLLM_NO_USAGE_STATS": "1",
    "VLLM_LOGGING_LEVEL": "INFO",
}
_GIB = 1 << 30
_POLL_S = 0.05
_FIRST_ANSWER_S = 300.0
_KEEPALIVE_S = 75
_OK = 200


@dataclass(frozen=True)
class ServerSettings:
    """What is served, and where.

    Attributes:
        config: How vLLM runs it.
        path: Folder of the model.
        names: Names of the model in requests, the usual one first.
        host: Address to listen on.
        port: Port to listen on.
    """

    config: ServeConfig
    path: Path
    names: tuple[str, ...]
    host: str
    port: int


@dataclass
class Served:
    """What a server did from its start to its end.

    Attributes:
        start_parts_s: Seconds of each part of its start, in order.
        dtype: What it computed in.
        max_model_tokens: Tokens of a prompt with its answer.
        num_requests: Requests that ended.
        prompt_tokens: Of all requests.
        completion_tokens: Of all requests.
    """

    start_parts_s: dict[str, float] = field(default_factory=dict)
    dtype: str = ""
    max_model_tokens: int = 0
    num_requests: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0


Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


class Doorway:
    """vLLM's application with the probes of a stage before it.

    Args:
        app: vLLM's.
        is_alive: Whether the engine is.

    Attributes:
        is_ready: Whether the first answer was given.
    """

    def __init__(self, app: Callable[[Message, Receive, Send], Awaitable[None]], is_alive: Callable[[], bool]) -> None:
        self._app = app
        self._is_alive = is_alive
        self.is_ready = False

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer a probe, or let vLLM answer."""
        path = scope["path"] if scope["type"] == "http" else ""
        if path not in {"/readyz", "/healthz"}:
            await self._app(scope, receive, send)
            return
        is_well = self._is_alive() and (self.is_ready or path == "/healthz")
        text = b"ok" if is_well else b"the first answer is being computed" if self._is_alive() else b"the engine died"
        await send({"type": "http.response.start", "status": _OK if is_well else 503, "headers": []})
        await send({"type": "http.response.body", "body": text})


def serve_until_stopped(settings: ServerSettings, is_stop_requested: Callable[[], bool]) -> Served:
    """Serve a model until a stop is requested.

    Raises:
        ConfigError: vLLM cannot load the model or answer with it.
        PlatformError: The engine died.
        Stopped: A stop was requested before it was ready.
    """
    served = Served()
    os.environ.update(_SETTINGS)
    if settings.config.enforce_eager:
        # A rank of log-probabilities is compiled on first use, which would hold every request for 18 s on two cores.
        os.environ["TORCHDYNAMO_DISABLE"] = "1"
    with _interrupted_by_stop(), _timed(served, "import_s"):
        import vllm.entrypoints.launchers.api_server.entry  # noqa: F401, PLC0415 - reads the environment; takes seconds
    register_host_metrics(settings.config.max_num_seqs)
    asyncio.run(_serve(settings, is_stop_requested, served))
    return served


async def _serve(settings: ServerSettings, is_stop_requested: Callable[[], bool], served: Served) -> None:
    from vllm.entrypoints.launchers.api_server import entry  # noqa: PLC0415 - as above
    from vllm.entrypoints.launchers.api_server.app_state import init_app_state  # noqa: PLC0415 - as above
    from vllm.entrypoints.launchers.app import build_app  # noqa: PLC0415 - as above

    args = _build_args(settings)
    async with contextlib.AsyncExitStack() as stack:
        with _interrupted_by_stop(), _timed(served, "engine_s"), _explained(settings):
            engine = await stack.enter_async_context(entry.build_async_engine_client(args))
        with _timed(served, "server_s"):
            tasks = await engine.get_supported_tasks()
            app = build_app(args, tasks, engine.model_config)
            await init_app_state(engine, app.state, args, tasks)
            doorway = Doorway(app, lambda: not engine.errored)
            server = _build_server(doorway, settings)
            app.state.server = server
            serving = asyncio.create_task(server.serve())
            while not server.started and not serving.done():  # noqa: ASYNC110 - uvicorn's own flag
                await asyncio.sleep(_POLL_S)
        try:
            served.start_parts_s["first_token_s"] = await _answer_once(settings, is_stop_requested)
            served.dtype = str(engine.model_config.dtype).removeprefix("torch.")
            served.max_model_tokens = int(engine.model_config.max_model_len)
            doorway.is_ready = True
            while not (is_stop_requested() or serving.done() or engine.errored):  # noqa: ASYNC110 - set by a signal
                await asyncio.sleep(_POLL_S)
            if not is_stop_requested():
                raise PlatformError(Reason.STAGE_CRASHED, "the engine died", "read the step's log; it is started again")
        finally:
            server.should_exit = True
            await serving
            _count_requests(served)


def _build_args(settings: ServerSettings) -> Any:  # noqa: ANN401 - untyped library object
    from vllm.entrypoints.launchers.cli_args import make_arg_parser, validate_parsed_serve_args  # noqa: PLC0415 - as above
    from vllm.utils.argparse_utils import FlexibleArgumentParser  # noqa: PLC0415 - as above

    args = make_arg_parser(FlexibleArgumentParser()).parse_args(build_options(settings))
    validate_parsed_serve_args(args)
    return args


def build_options(settings: ServerSettings) -> list[str]:
    """Build vLLM's command line.

    >>> here = ServerSettings(ServeConfig(max_model_len=512), Path("/m"), ("m",), "127.0.0.1", 8000)
    >>> build_options(here)[:6]
    ['--model', '/m', '--dtype', 'bfloat16', '--max-num-seqs', '32']
    """
    config = settings.config
    valued: dict[str, object] = {
        "model": settings.path,
        "dtype": config.dtype,
        "max-num-seqs": config.max_num_seqs,
        "max-model-len": config.max_model_len,
        "max-num-batched-tokens": config.max_num_batched_tokens,
        "quantization": config.quantization,
        "seed": config.seed,
    }
    if list_gpus():
        valued["gpu-memory-utilization"] = config.gpu_memory_utilization
    else:
        valued["kv-cache-memory-bytes"] = int(config.kv_cache_gib * _GIB)
    flags = {
        "enable-prefix-caching": config.enable_prefix_caching,
        "enable-chunked-prefill": config.enable_chunked_prefill,
        "enforce-eager": config.enforce_eager,
    }
    options = [word for name, value in valued.items() if value is not None for word in (f"--{name}", str(value))]
    options += [f"--{'' if is_on else 'no-'}{name}" for name, is_on in flags.items()]
    return [*options, "--disable-fastapi-docs", "--served-model-name", *settings.names]


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
            access_log=False,
            log_level="warning",
            timeout_keep_alive=_KEEPALIVE_S,
            timeout_graceful_shutdown=max(int(settings.config.drain_s), 1),
        )
    )


async def _answer_once(settings: ServerSettings, is_stop_requested: Callable[[], bool]) -> float:
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
    async with httpx.AsyncClient(timeout=_FIRST_ANSWER_S, trust_env=False) as client:
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


def _count_requests(served: Served) -> None:
    """Read what vLLM counted of the requests; the first answer is not counted."""
    from prometheus_client import REGISTRY  # noqa: PLC0415 - holds vLLM's metrics once vLLM is imported

    sums = {"vllm:request_success": 0.0, "vllm:prompt_tokens": 0.0, "vllm:generation_tokens": 0.0}
    for family in REGISTRY.collect():
        if family.name in sums:
            sums[family.name] += sum(one.value for one in family.samples if one.name.endswith("_total"))
    served.num_requests = max(int(sums["vllm:request_success"]) - 1, 0)
    served.prompt_tokens = int(sums["vllm:prompt_tokens"])
    served.completion_tokens = int(sums["vllm:generation_tokens"])


@contextlib.contextmanager
def _timed(served: Served, name: str) -> Iterator[None]:
    started_s = time.monotonic()
    yield
    served.start_parts_s[name] = time.monotonic() - started_s


@contextlib.contextmanager
def _explained(settings: ServerSettings) -> Iterator[None]:
    try:
        yield
    except (ValueError, RuntimeError, OSError, TypeError, LookupError, NotImplementedError) as error:
        text = " ".join(str(error).split())[:400]
        raise ConfigError(
            f"{settings.path}: vLLM cannot load it ({text or type(error).__name__})",
            "the step's log has more; choose other options or another model",
        ) from error


@contextlib.contextmanager
def _interrupted_by_stop() -> Iterator[None]:
    """Let a stop request interrupt what does not look for one: vLLM's start blocks for half a minute."""

    def interrupt(*_: object) -> None:
        raise Stopped

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
