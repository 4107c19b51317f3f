"""A proxy of HTTP between a gateway and an engine that faults every n-th request while it is told to."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import json
import socket
import struct
import time
from collections.abc import AsyncIterator

import aiohttp
from aiohttp import web
from pydantic import ValidationError

from practicum_core.faults import FAULT_PATH, Fault, FaultKind

_HOP_HEADERS = frozenset({"host", "connection", "content-length", "transfer-encoding", "keep-alive"})
_BROKEN_EVENT = b'data: {"id":"cmpl-0","object":"chat.completion.chunk","choices":[{"index":0,"del\n\n'
_MAX_BODY_BYTES = 64 << 20


class FaultProxy:
    """The proxy of one engine.

    Args:
        upstream: Address of the engine.
        key: Bearer token of whoever may set a fault; empty where anybody may. Engines check their requests themselves.

    Attributes:
        num_posts: Requests of clients, hit or not, since the start.
        num_passed: Requests that passed as they were.
        num_hit: Requests that a fault hit.
    """

    def __init__(self, upstream: str, key: str = "") -> None:
        self.num_posts = 0
        self.num_passed = 0
        self.num_hit = 0
        self._upstream = upstream.rstrip("/").removesuffix("/v1")
        self._key = key
        self._fault = Fault()
        self._ends_s = 0.0
        self._is_over = asyncio.Event()
        self._num_since_fault = 0
        self._num_parts = 0
        self._session: aiohttp.ClientSession | None = None

    @property
    def fault(self) -> Fault:
        """What it does now."""
        if self._fault.kind is not FaultKind.NONE and time.monotonic() >= self._ends_s:
            self._change(Fault())
        return self._fault

    def _change(self, fault: Fault) -> None:
        self._fault = fault
        self._ends_s = time.monotonic() + fault.for_s
        self._num_since_fault = self._num_parts = 0
        # What an earlier fault holds goes on.
        self._is_over.set()
        self._is_over = asyncio.Event()

    def build_app(self) -> web.Application:
        """Build the application; its connections are closed with it."""
        app = web.Application(client_max_size=_MAX_BODY_BYTES)
        app.router.add_get("/healthz", self._tell_health)
        app.router.add_get("/readyz", self._tell_health)
        app.router.add_get(FAULT_PATH, self._tell_fault)
        app.router.add_put(FAULT_PATH, self._set_fault)
        app.router.add_delete(FAULT_PATH, self._clear_fault)
        app.router.add_route("*", "/{path:.*}", self._pass)
        app.on_startup.append(self._open)
        app.on_cleanup.append(self._close)
        return app

    async def _open(self, app: web.Application) -> None:
        del app
        # An engine that was killed leaves connections behind, and a request on one of them would fail once more.
        connector = aiohttp.TCPConnector(limit=0, force_close=True)
        timeout = aiohttp.ClientTimeout(total=None, connect=5.0)
        self._session = aiohttp.ClientSession(connector=connector, timeout=timeout, auto_decompress=False)

    async def _close(self, app: web.Application) -> None:
        del app
        if self._session is not None:
            await self._session.close()

    async def _tell_health(self, request: web.Request) -> web.Response:
        del request
        return web.json_response({"status": "ok"})

    async def _tell_fault(self, request: web.Request) -> web.Response:
        del request
        return web.json_response({**self.fault.model_dump(mode="json"), "num_posts": self.num_posts})

    async def _set_fault(self, request: web.Request) -> web.Response:
        self._require_key(request)
        try:
            self._change(Fault.model_validate_json(await request.read()))
        except ValidationError as error:
            return web.json_response({"error": json.loads(error.json(include_url=False))}, status=400)
        return await self._tell_fault(request)

    async def _clear_fault(self, request: web.Request) -> web.Response:
        self._require_key(request)
        self._change(Fault())
        return await self._tell_fault(request)

    def _require_key(self, request: web.Request) -> None:
        sent = request.headers.get("authorization", "")
        if self._key and not hmac.compare_digest(sent.encode(), f"Bearer {self._key}".encode()):
            raise web.HTTPUnauthorized(text="faults need the key of this run's servers")

    async def _pass(self, request: web.Request) -> web.StreamResponse:
        fault = self._choose_fault(request)
        if fault.kind is not FaultKind.LOSS:
            await asyncio.sleep(fault.wait_s)
        if fault.kind is FaultKind.ERRORS:
            # As a framework answers an exception: without the shape of OpenAI's errors.
            return web.Response(status=fault.status, text="Internal Server Error")
        if fault.kind is FaultKind.RESET:
            reset(request.transport)
            return web.Response(status=502)
        if self._session is None:
            raise RuntimeError("the proxy was not started")
        headers = {name: value for name, value in request.headers.items() if name.lower() not in _HOP_HEADERS}
        address = f"{self._upstream}{request.raw_path}"
        body = await request.read()
        try:
            async with self._session.request(
                request.method, address, data=body or None, headers=headers, allow_redirects=False
            ) as answer:
                return await self._answer(request, answer, fault)
        except aiohttp.ClientError:
            # What a gateway sees of an engine that is gone.
            if request.transport is not None:
                request.transport.abort()
            return web.Response(status=502)

    def _choose_fault(self, request: web.Request) -> Fault:
        """Return what happens to a request; questions about the engine itself pass."""
        fault = self.fault
        is_post = request.method == "POST"
        self.num_posts += is_post
        if not is_post or fault.kind in (FaultKind.NONE, FaultKind.REFUSED):
            self.num_passed += 1
            return Fault()
        self._num_since_fault += 1
        if self._num_since_fault % fault.every and not fault.hits_all:
            self.num_passed += 1
            return Fault()
        self.num_hit += 1
        return fault

    async def _answer(self, request: web.Request, answer: aiohttp.ClientResponse, fault: Fault) -> web.StreamResponse:
        headers = {name: value for name, value in answer.headers.items() if name.lower() not in _HOP_HEADERS}
        response = web.StreamResponse(status=answer.status, headers=headers)
        await response.prepare(request)
        num_chunks = 0
        async for chunk in self._delay(answer.content.iter_any(), fault):
            if num_chunks == fault.after_chunks and fault.kind is FaultKind.CUT:
                if request.transport is not None:
                    request.transport.abort()
                return response
            if num_chunks == fault.after_chunks and fault.kind is FaultKind.MALFORMED:
                await response.write(_BROKEN_EVENT)
            if num_chunks == fault.after_chunks and fault.kind is FaultKind.STALL:
                await self._wait_for_end()
            num_chunks += 1
            await response.write(chunk)
        await response.write_eof()
        return response

    async def _delay(self, chunks: AsyncIterator[bytes], fault: Fault) -> AsyncIterator[bytes]:
        """Give the parts of an answer as they come, or late where the way is long or loses some."""
        if fault.kind is FaultKind.LATENCY:
            async for chunk in _shift(chunks, fault.wait_s):
                yield chunk
            return
        async for chunk in chunks:
            self._num_parts += 1
            if fault.kind is FaultKind.LOSS and self._num_parts % fault.every == 0:
                await asyncio.sleep(fault.wait_s)
            yield chunk

    async def _wait_for_end(self) -> None:
        """Wait until the fault of now ends, or another begins."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._ends_s - time.monotonic()):
                await self._is_over.wait()


async def _shift(chunks: AsyncIterator[bytes], seconds: float) -> AsyncIterator[bytes]:
    """Give every part so much later than it came; parts that came apart stay as far apart."""
    queue: asyncio.Queue[tuple[float, bytes | None]] = asyncio.Queue()

    async def read() -> None:
        try:
            async for chunk in chunks:
                queue.put_nowait((time.monotonic() + seconds, chunk))
        finally:
            queue.put_nowait((time.monotonic() + seconds, None))

    reading = asyncio.create_task(read())
    try:
        while True:
            due_s, chunk = await queue.get()
            await asyncio.sleep(due_s - time.monotonic())
            if chunk is None:
                break
            yield chunk
        await reading
    finally:
        reading.cancel()


def reset(transport: asyncio.Transport | None) -> None:
    """End a connection with RST: what was not read is lost, and the other side gets an error."""
    if transport is None:
        return
    connection = transport.get_extra_info("socket")
    if connection is not None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()
