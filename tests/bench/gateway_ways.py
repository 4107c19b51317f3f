"""The ways to an engine that the gateway's bench compares: direct, bare, gateway, LiteLLM's proxy.

Each is a process. The gateway is also started with a trace of every request, or of a tenth of them, in a file.

The engine answers at once with the same bytes, so that only the way to it is measured; traces are measured before the
tests' engine with vLLM's times too. The bare pass-through is the
same server (uvicorn on httptools and uvloop) and client (aiohttp) without any policy.

Usage: python gateway_ways.py ROLE PORT UPSTREAM KEYS [REDIS]
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import uvicorn
import uvloop

from fake_engine import FakeEngine, serve_engine
from fake_scheduler import Settings
from gateway_stand import find_port
from practicum_core.stages.gateway import GatewayConfig
from practicum_gateway.app import Gateway
from practicum_gateway.stage import (
    build_admission,
    build_server_config,
    raise_file_limit,
    serve,
    tune_garbage_collection,
)
from practicum_gateway.tracing import build_traces

CHUNKS = 8
HELD_S = 1.0
"""Pause between two chunks of a stream that stays open."""
USAGE = {"prompt_tokens": 30, "completion_tokens": 16, "total_tokens": 46}
ANSWER = json.dumps(
    {
        "id": "1",
        "object": "chat.completion",
        "created": 0,
        "model": "m",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "t " * 16}, "finish_reason": "length"}],
        "usage": USAGE,
    }
).encode()
CHUNK = {
    "id": "1",
    "object": "chat.completion.chunk",
    "model": "m",
    "choices": [{"index": 0, "delta": {"content": "t "}}],
}
EVENT = b"data: " + json.dumps(CHUNK).encode() + b"\n\n"
LAST = b"data: " + json.dumps({"id": "1", "choices": [], "usage": USAGE}).encode() + b"\n\ndata: [DONE]\n\n"
VLLM_TIMES = Settings(step_s=0.034, step_s_per_request=0.0014, prefill_s_per_token=0.001, max_running=32)
"""Of the tests' engine, as `make bench-serve` fitted them to vLLM with SmolLM2-135M on two cores: 78 ms for 32."""
MODELS = json.dumps({"data": [{"id": "m", "max_model_len": 4096}]}).encode()


async def answer_as_engine(scope, receive, send) -> None:
    sent = await read_body(receive)
    if scope["path"] == "/v1/models":
        await respond(send, b"application/json", MODELS)
    elif b'"stream"' in sent and json.loads(sent)["stream"]:
        await start(send, b"text/event-stream")
        pause_s = HELD_S if b'"held"' in sent else 0
        for _ in range(CHUNKS):
            await send({"type": "http.response.body", "body": EVENT, "more_body": True})
            await asyncio.sleep(pause_s)
        await send({"type": "http.response.body", "body": LAST})
    else:
        await respond(send, b"application/json", ANSWER)


async def read_body(receive) -> bytes:
    parts = []
    while True:
        message = await receive()
        parts.append(message.get("body", b""))
        if not message.get("more_body"):
            return b"".join(parts)


async def start(send, kind: bytes, length: int | None = None) -> None:
    headers = [(b"content-type", kind)]
    if length is not None:
        headers.append((b"content-length", str(length).encode()))
    await send({"type": "http.response.start", "status": 200, "headers": headers})


async def respond(send, kind: bytes, body: bytes) -> None:
    await start(send, kind, len(body))
    await send({"type": "http.response.body", "body": body})


class Bare:
    """Passes a request on and its answer back, chunk by chunk."""

    def __init__(self, upstream: str) -> None:
        self.upstream = upstream
        self.session: aiohttp.ClientSession | None = None

    async def __call__(self, scope, receive, send) -> None:
        if self.session is None:
            self.session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), auto_decompress=False)
        sent = await read_body(receive)
        headers = {"content-type": "application/json"}
        async with self.session.post(self.upstream + scope["path"], data=sent, headers=headers) as answer:
            kind = answer.headers["content-type"].encode()
            await send({"type": "http.response.start", "status": answer.status, "headers": [(b"content-type", kind)]})
            async for chunk in answer.content.iter_any():
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b""})


class Forever:
    """The run of a gateway that nobody stops."""

    experiments = Path()
    is_stop_requested = False


TRACED_SHARES = {"traced": 1.0, "tenth": 0.1}
"""Requests that are traced, by the way."""


def run_gateway(port: int, upstream: str, keys: Path, redis_url: str, traced: float | None) -> None:
    """Serve the gateway until killed, with all its policies."""
    config = GatewayConfig(
        traces=traced is not None,
        trace_share=traced or 0,
        upstreams=[{"name": "engine", "url": upstream}],
        initial_concurrency=4096,
        max_concurrency=4096,
        redis_url=redis_url,
        num_replicas=2 if redis_url else 1,
    )
    gateway = Gateway(config, [keys], admission=build_admission(config))
    if config.traces:
        gateway.traces = build_traces(config, keys.with_name(f"traces-{port}.jsonl"), time.monotonic)
    tune_garbage_collection()
    server = uvicorn.Server(build_server_config(gateway, config, "127.0.0.1", port))
    uvloop.run(serve(gateway, server, Forever()))


def run_server(role: str, port: int, upstream: str, keys: Path, redis_url: str = "") -> None:
    """Serve one of them until killed."""
    raise_file_limit()
    if role in {"gateway", *TRACED_SHARES}:
        run_gateway(port, upstream, keys, redis_url, TRACED_SHARES.get(role))
        return
    if role == "timed-engine":
        asyncio.run(serve_timed_engine(port))
        return
    app = answer_as_engine if role == "engine" else Bare(upstream)
    options = {"access_log": False, "log_level": "warning", "lifespan": "off", "ws": "none", "http": "httptools"}
    uvicorn.run(app, host="127.0.0.1", port=port, loop="uvloop", date_header=False, server_header=False, **options)


async def serve_timed_engine(port: int) -> None:
    """Serve the tests' engine with vLLM's times until killed."""
    engine = FakeEngine(VLLM_TIMES)
    engine.models = ["m"]
    async with serve_engine(engine, port):
        await asyncio.Event().wait()


@contextlib.contextmanager
def start_process(*command: object, **options: object) -> Iterator[int]:
    """Start a process; gives its id, and kills it at the end."""
    process = subprocess.Popen([str(word) for word in command], **options)
    try:
        yield process.pid
    finally:
        process.kill()
        process.wait()


@contextlib.contextmanager
def start_way(role: str, upstream: str, keys: Path, redis_url: str = "") -> Iterator[tuple[str, int]]:
    """Start an engine, the bare pass-through or the gateway; gives address and process."""
    port = find_port()
    with start_process(sys.executable, __file__, role, port, upstream, keys, redis_url) as process:
        yield f"http://127.0.0.1:{port}", process


LITELLM = """\
model_list:
  - model_name: m
    litellm_params: {{model: openai/m, api_base: "{engine}/v1", api_key: none}}
general_settings: {{custom_auth: bench_auth.user_api_key_auth}}
litellm_settings: {{num_retries: 0, telemetry: false}}
"""
LITELLM_KEYS = """\
from litellm.proxy._types import UserAPIKeyAuth


async def user_api_key_auth(request, api_key):
    return UserAPIKeyAuth(api_key=api_key, tpm_limit=10**9, rpm_limit=10**8)
"""


@contextlib.contextmanager
def start_litellm(environment: Path, upstream: str, folder: Path) -> Iterator[tuple[str, int]]:
    """Start LiteLLM's proxy, one worker, with limits of the key as the gateway has; gives address and process."""
    (folder / "config.yaml").write_text(LITELLM.format(engine=upstream))
    (folder / "bench_auth.py").write_text(LITELLM_KEYS)
    port = find_port()
    command = (environment / "bin/litellm", "--config", "config.yaml", "--host", "127.0.0.1", "--port", port)
    variables = {**os.environ, "LITELLM_MASTER_KEY": f"sk-{secrets.token_urlsafe(24)}"}
    with (
        (folder / "litellm.log").open("w") as log,
        start_process(*command, cwd=folder, env=variables, stdout=log, stderr=subprocess.STDOUT) as process,
    ):
        yield f"http://127.0.0.1:{port}", process


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        run_server(sys.argv[1], int(sys.argv[2]), sys.argv[3], Path(sys.argv[4]), *sys.argv[5:])
