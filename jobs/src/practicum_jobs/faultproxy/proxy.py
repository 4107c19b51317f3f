"""A proxy of HTTP between a gateway and an engine that faults every n-th request while it is told to."""

from __future__ import annotations

import asyncio
import hmac
import json

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
        fault: What it does now.
        num_passed: Requests that passed as they were.
        num_hit: Requests that a fault hit.
    """

    def __init__(self, upstream: str, key: str = "") -> None:
        self.fault = Fault()
        self.num_passed = 0
        self.num_hit = 0
        self._upstream = upstream.rstrip("/").removesuffix("/v1")
        self._key = key
        self._num_posts = 0
        self._session: aiohttp.ClientSession | None = None

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
        return web.json_response(self.fault.model_dump(mode="json"))

    async def _set_fault(self, request: web.Request) -> web.Response:
        self._require_key(request)
        try:
            self.fault = Fault.model_validate_json(await request.read())
        except ValidationError as error:
            return web.json_response({"error": json.loads(error.json(include_url=False))}, status=400)
        self._num_posts = 0
        return await self._tell_fault(request)

    async def _clear_fault(self, request: web.Request) -> web.Response:
        self._require_key(request)
        self.fault = Fault()
        return await self._tell_fault(request)

    def _require_key(self, request: web.Request) -> None:
        sent = request.headers.get("authorization", "")
        if self._key and not hmac.compare_digest(sent.encode(), f"Bearer {self._key}".encode()):
            raise web.HTTPUnauthorized(text="faults need the key of this run's servers")

    async def _pass(self, request: web.Request) -> web.StreamResponse:
        fault = self._choose_fault(request)
        if fault.kind is FaultKind.ERRORS:
            # As a framework answers an exception: without the shape of OpenAI's errors.
            return web.Response(status=fault.status, text="Internal Server Error")
        if fault.kind is FaultKind.SLOW_FIRST_TOKEN:
            await asyncio.sleep(fault.delay_s)
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
        if request.method != "POST" or self.fault.kind is FaultKind.NONE:
            self.num_passed += 1
            return Fault()
        self._num_posts += 1
        if self._num_posts % self.fault.every:
            self.num_passed += 1
            return Fault()
        self.num_hit += 1
        return self.fault

    async def _answer(self, request: web.Request, answer: aiohttp.ClientResponse, fault: Fault) -> web.StreamResponse:
        headers = {name: value for name, value in answer.headers.items() if name.lower() not in _HOP_HEADERS}
        response = web.StreamResponse(status=answer.status, headers=headers)
        await response.prepare(request)
        num_chunks = 0
        async for chunk in answer.content.iter_any():
            if num_chunks == fault.after_chunks and fault.kind is FaultKind.CUT:
                if request.transport is not None:
                    request.transport.abort()
                return response
            if num_chunks == fault.after_chunks and fault.kind is FaultKind.MALFORMED:
                await response.write(_BROKEN_EVENT)
            num_chunks += 1
            await response.write(chunk)
        await response.write_eof()
        return response
