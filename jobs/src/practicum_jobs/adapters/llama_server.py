"""llama.cpp's HTTP server in this process (xllamacpp), behind an application that has the probes and the run's key.

llama.cpp listens on a port of its own that only this process knows, with a random key.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
from collections.abc import Callable
from typing import Any

import aiohttp

from practicum_core.errors import ConfigError
from practicum_jobs.adapters.doorway import Message, Receive, Send
from practicum_jobs.adapters.engine_server import (
    Served,
    ServerSettings,
    interrupted_by_stop,
    serve_application,
    timed,
)

_PASSED_ON = frozenset({"content-type", "accept"})
_COUNTS = {"llamacpp:prompt_tokens_total": "prompt_tokens", "llamacpp:tokens_predicted_total": "completion_tokens"}
_METRICS = "/metrics"


class LlamaApplication:
    """llama.cpp's API as an ASGI application; a client that goes away ends its request there.

    Args:
        url: Where llama.cpp listens.
        key: What it asks for.
        settings: What is served.
        max_model_tokens: Tokens of a prompt with its answer.

    Attributes:
        num_requests: Requests that were answered.
    """

    def __init__(self, url: str, key: str, settings: ServerSettings, max_model_tokens: int) -> None:
        self._url = url
        self._names = settings.names
        self._max_model_tokens = max_model_tokens
        self._session = aiohttp.ClientSession(
            headers={"Authorization": f"Bearer {key}"},
            timeout=aiohttp.ClientTimeout(total=None),
            # Its server closes a connection after a few requests, and a request on one that is being closed is lost.
            connector=aiohttp.TCPConnector(limit=0, force_close=True),
        )
        self.num_requests = 0

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer one request."""
        path = scope["path"]
        body = await _read_body(receive)
        if path == "/v1/models":
            await _send_json(send, 200, self._build_models())
            return
        name = _read_model(body)
        if name is not None and name not in self._names:
            message = f"The model `{name}` does not exist."
            error = {"message": message, "type": "NotFoundError", "param": "model", "code": 404}
            await _send_json(send, 404, {"error": error})
            return
        answering = asyncio.create_task(self._pass_on(scope, body, send))
        leaving = asyncio.create_task(_wait_for_disconnect(receive))
        try:
            await asyncio.wait({answering, leaving}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            leaving.cancel()
            answering.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await answering

    async def read_counts(self) -> dict[str, int]:
        """Read what llama.cpp counted."""
        async with self._session.get(self._url + _METRICS) as page:
            lines = [line.rpartition(" ") for line in (await page.text()).splitlines()]
        return {_COUNTS[name]: int(float(value)) for name, _, value in lines if name in _COUNTS}

    async def close(self) -> None:
        """Close the connections."""
        await self._session.close()

    async def _pass_on(self, scope: Message, body: bytes, send: Send) -> None:
        headers = {name.decode(): value.decode() for name, value in scope["headers"] if name.decode() in _PASSED_ON}
        async with self._session.request(
            scope["method"], self._url + scope["path"], data=body or None, headers=headers
        ) as response:
            kind = response.headers.get("Content-Type", "application/json").encode()
            await send({"type": "http.response.start", "status": response.status, "headers": [(b"content-type", kind)]})
            async for part in response.content.iter_any():
                await send({"type": "http.response.body", "body": part, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
        self.num_requests += scope["method"] == "POST"

    def _build_models(self) -> dict[str, Any]:
        first = self._names[0]
        models = [
            {
                "id": name,
                "object": "model",
                "created": 0,
                "owned_by": "llamacpp",
                "root": first,
                "max_model_len": self._max_model_tokens,
            }
            for name in self._names
        ]
        return {"object": "list", "data": models}


def serve_until_stopped(
    settings: ServerSettings, context_tokens: int, num_slots: int, is_stop_requested: Callable[[], bool]
) -> Served:
    """Serve a GGUF file until a stop is requested.

    Args:
        settings: What is served, and where.
        context_tokens: Tokens of a prompt with its answer.
        num_slots: Requests at the same time.
        is_stop_requested: Asked again and again.

    Raises:
        ConfigError: llama.cpp cannot load the file or answer with it.
        Stopped: A stop was requested before it was ready.
    """
    served = Served(max_model_tokens=context_tokens)
    with interrupted_by_stop(), timed(served, "import_s"):
        import xllamacpp  # noqa: PLC0415 - in the environment `serve` alone
    key = secrets.token_urlsafe(32)
    options = _build_options(xllamacpp.CommonParams(), settings, context_tokens, num_slots, key)
    with timed(served, "engine_s"):
        try:
            server = xllamacpp.Server(options)
        except (RuntimeError, ValueError) as error:
            raise ConfigError(f"{settings.path}: llama.cpp cannot load it ({error})", "make the file again") from error
    asyncio.run(_serve(server.listening_address, key, settings, served, is_stop_requested))
    return served


def _build_options(options: Any, settings: ServerSettings, context_tokens: int, num_slots: int, key: str) -> Any:  # noqa: ANN401 - untyped library object
    options.model.path = str(settings.path)
    options.n_parallel = num_slots
    options.n_ctx = context_tokens * num_slots
    options.cpuparams.n_threads = options.cpuparams_batch.n_threads = settings.num_threads
    options.n_threads_http = num_slots + 4
    options.kv_unified = False  # each request has its own part: without preemption, a shared one could run out
    options.cache_prompt = settings.config.enable_prefix_caching
    options.cache_ram_mib = 0  # prompts of other slots would be kept beyond the memory that was checked
    options.endpoint_metrics = True
    options.ui = options.endpoint_slots = options.endpoint_props = False
    options.api_keys = [key]
    options.use_jinja = True
    options.verbosity = 0
    return options


async def _serve(
    url: str, key: str, settings: ServerSettings, served: Served, is_stop_requested: Callable[[], bool]
) -> None:
    app = LlamaApplication(url, key, settings, served.max_model_tokens)
    try:
        await serve_application(app, lambda: True, settings, served, is_stop_requested)
        counts = await app.read_counts()
        served.prompt_tokens = counts.get("prompt_tokens", 0)
        served.completion_tokens = counts.get("completion_tokens", 0)
        served.num_requests = max(app.num_requests - 1, 0)
    finally:
        await app.close()


async def _read_body(receive: Receive) -> bytes:
    body = bytearray()
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            return bytes(body)


async def _wait_for_disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _read_model(body: bytes) -> str | None:
    try:
        document = json.loads(body or b"{}")
    except (ValueError, RecursionError):
        return None  # llama.cpp says what is wrong with it
    name = document.get("model") if isinstance(document, dict) else None
    return name if isinstance(name, str) else None


async def _send_json(send: Send, status: int, document: dict[str, Any]) -> None:
    headers = [(b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": json.dumps(document).encode()})
