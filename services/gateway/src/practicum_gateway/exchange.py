"""One request and its answer over ASGI: headers, a bounded body, an answer in pieces, and a watch on the client."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import secrets
from collections.abc import Awaitable, Callable, MutableMapping
from typing import TYPE_CHECKING, Any

from practicum_gateway.errors import ApiError, ClientGone
from practicum_gateway.inspection import Asked

if TYPE_CHECKING:
    from practicum_gateway.request_trace import RequestTrace

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]
JSON: tuple[bytes, bytes] = (b"content-type", b"application/json")
WATCH = "practicum.watch"
"""Where a request's scope holds what the server tells of its client."""
_MAX_ID_BYTES = 128
_UNTRACED = contextlib.nullcontext()
_RUN = secrets.token_hex(6).encode()
_NUMBERS = itertools.count(1)
_DISCARDED_BODIES = 16
"""Of a body that is too long, so many times the longest are read before the connection is closed."""


class ClientWatch:
    """Ends the work for a client that goes away: a block that is cancelled when its connection is lost.

    The server tells it, so that no request needs a task of its own that waits for that.

    Attributes:
        is_gone: Whether the client went away before its answer was complete.
    """

    __slots__ = ("_task", "is_gone")

    def __init__(self) -> None:
        self._task: asyncio.Task[Any] | None = None
        self.is_gone = False

    def tell_gone(self) -> None:
        """Say that the connection was lost."""
        self.is_gone = True
        if self._task is not None:
            self._task.cancel()

    def stop(self) -> None:
        """Let the client go: it has its answer."""
        self._task = None

    def __enter__(self) -> None:
        if self.is_gone:
            raise ClientGone
        self._task = asyncio.current_task()

    def __exit__(self, kind: type[BaseException] | None, _error: object, _trace: object) -> None:
        task, self._task = self._task, None
        if kind is asyncio.CancelledError and self.is_gone and task is not None and task.uncancel() == 0:
            raise ClientGone from None


class Exchange:
    """A request that is being answered.

    Args:
        scope: Of ASGI.
        receive: Of ASGI.
        send: Of ASGI.

    Attributes:
        method: Of the request.
        path: Of the request.
        query: What follows the path in the address.
        headers: Of the request, by lower-case name; the last of several.
        request_id: As the client named it, or a new one.
        extra_headers: Of the answer, whatever it is.
        status: Of the answer; 0 before it has begun.
        is_ended: Whether the answer is complete.
        first_byte_s: When the first byte of a streamed answer came, on the gateway's clock; ``None`` without one.
        facts: What the log says of it.
        trace: Its trace; ``None`` where it has none.
        asked: What a trace says of its body; ``None`` without a trace, and where it was refused before.
    """

    def __init__(self, scope: Message, receive: Receive, send: Send) -> None:
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        self.query: str = scope.get("query_string", b"").decode("latin-1")
        self.headers: dict[bytes, bytes] = dict(scope["headers"])
        named = self.headers.get(b"x-request-id", b"")
        is_plain = 0 < len(named) <= _MAX_ID_BYTES and named.isascii() and named.decode("ascii").isprintable()
        self.request_id = named if is_plain else _RUN + b"-%x" % next(_NUMBERS)
        self.extra_headers: Headers = [(b"x-request-id", self.request_id)]
        self.status = 0
        self.is_ended = False
        self.first_byte_s: float | None = None
        self.facts: dict[str, object] = {}
        self.trace: RequestTrace | None = None
        self.asked: Asked | None = None
        self._receive = receive
        self._send = send
        self._watch: ClientWatch = scope.get(WATCH) or ClientWatch()
        self._is_body_too_long = False
        # A body may come with any method, and with a chunked one its length is not known.
        has_body = not self.headers.keys().isdisjoint((b"content-length", b"transfer-encoding"))
        self._is_body_read = not has_body or self.headers.get(b"content-length") == b"0"

    def span(self, name: str) -> contextlib.AbstractContextManager[None]:
        """Time a block (``with``) in the trace, where there is one."""
        return _UNTRACED if self.trace is None else self.trace.span(name)

    async def read_body(self, max_bytes: int, timeout_s: float) -> bytes:
        """Read the body.

        Raises:
            ApiError: It is too long, or does not arrive in time.
            ClientGone: The client went away.
        """
        declared = self.headers.get(b"content-length", b"0")
        self._is_body_too_long = declared.isdigit() and int(declared) > max_bytes
        if self._is_body_too_long and (b"expect" in self.headers or int(declared) > _DISCARDED_BODIES * max_bytes):
            raise _build_length_error(max_bytes)
        try:
            async with asyncio.timeout(timeout_s):
                return await self._read(max_bytes)
        except TimeoutError:
            if self._is_body_too_long:
                raise _build_length_error(max_bytes) from None
            raise ApiError(408, "body_timeout", f"the body did not arrive within {timeout_s:g} s") from None

    async def _read(self, max_bytes: int) -> bytes:
        """Read the body. One that is too long is read and dropped, so that its sender gets to read the answer."""
        parts: list[bytes] = []
        num_bytes, has_more = 0, True
        while has_more and num_bytes <= _DISCARDED_BODIES * max_bytes:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise ClientGone
            part = message.get("body", b"")
            num_bytes += len(part)
            self._is_body_too_long |= num_bytes > max_bytes
            if not self._is_body_too_long:
                parts.append(part)
            has_more = message.get("more_body", False)
        self._is_body_read = not has_more
        if self._is_body_too_long:
            raise _build_length_error(max_bytes)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def watch_client(self) -> ClientWatch:
        """Cancel a block (``with``) when the client goes away. The body must have been read.

        Raises:
            ClientGone: It went away.
        """
        return self._watch

    async def start(self, status: int, headers: Headers) -> None:
        """Begin the answer."""
        self.status = status
        if not self._is_body_read:
            # What is still to come would be taken for the next request, or would never end.
            self.extra_headers.append((b"connection", b"close"))
        await self._send({"type": "http.response.start", "status": status, "headers": headers + self.extra_headers})

    async def write(self, chunk: bytes) -> None:
        """Send a piece of the answer; waits while the client reads slowly."""
        await self._send({"type": "http.response.body", "body": chunk, "more_body": True})

    async def end(self, chunk: bytes = b"") -> None:
        """End the answer."""
        self.is_ended = True
        self._watch.stop()
        await self._send({"type": "http.response.body", "body": chunk})

    async def respond(self, status: int, headers: Headers, body: bytes) -> None:
        """Send an answer in one piece."""
        await self.start(status, [*headers, (b"content-length", str(len(body)).encode())])
        await self.end(body)

    async def respond_error(self, error: ApiError) -> None:
        """Send an error: as the answer, or as the last event of one that has begun."""
        if not self.status:
            await self.respond(error.status, [JSON, *error.build_headers()], error.build_body())
            return
        await self.end(b"data: " + error.build_body() + b"\n\n")


def _build_length_error(max_bytes: int) -> ApiError:
    return ApiError(413, "body_too_long", f"the body is longer than {max_bytes} bytes")
