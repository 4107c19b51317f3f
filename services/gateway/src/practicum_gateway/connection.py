"""Connections of clients: headers within bounds of size and time, and clients that do not read on cut off.

uvicorn's protocol on httptools has no such bounds: a client could send headers without end, or a byte a minute.
"""

from __future__ import annotations

import asyncio
from typing import Any, ClassVar

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from practicum_core.stages.gateway import GatewayConfig
from practicum_gateway.errors import ApiError
from practicum_gateway.exchange import WATCH, ClientWatch


class BoundedProtocol(HttpToolsProtocol):
    """A connection whose request heads and whose writing are bounded."""

    bounds: ClassVar[GatewayConfig] = GatewayConfig()

    def __init__(self, *args: Any, **options: Any) -> None:  # noqa: ANN401 - uvicorn's own arguments
        super().__init__(*args, **options)
        self._head_bytes = 0
        self._is_in_head = True
        self._head_timer: asyncio.TimerHandle | None = None
        self._write_timer: asyncio.TimerHandle | None = None
        self._watch: ClientWatch | None = None
        self._next_watch: ClientWatch | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for the first request."""
        super().connection_made(transport)
        self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the timers, and the work for a client that has no answer yet."""
        self._cancel_timers()
        super().connection_lost(exc)
        if self._watch is not None:
            self._watch.tell_gone()

    def on_message_begin(self) -> None:
        """Begin a request whose client is watched."""
        super().on_message_begin()
        self._next_watch = self.scope[WATCH] = ClientWatch()  # type: ignore[literal-required]

    def data_received(self, data: bytes) -> None:
        """Count what belongs to a head, and refuse one that is too long."""
        if self._is_in_head:
            self._head_bytes += len(data)
            if self._head_timer is None:
                self._expect_head()
        super().data_received(data)
        if self._is_in_head and self._head_bytes > self.bounds.max_header_bytes:
            self._refuse(self._build_head_error())

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header of a head.

        Raises:
            ValueError: It is a trailer: nothing reads those, and nothing bounds their number.
        """
        if not self._is_in_head:
            raise ValueError("trailers are not taken")
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """End the wait for a head.

        Raises:
            ValueError: It is too long, or comes before the answer to the one before; the parser then calls
                :meth:`send_400_response`.
        """
        if self.cycle is not None and not self.cycle.response_complete:
            # uvicorn would no longer see the client of the first one leave.
            self.transport.abort()
            raise ValueError("requests behind one another are not taken")
        if self._is_head_too_long():
            raise ValueError("the head is too long")
        self._is_in_head = False
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None
        self._watch = self._next_watch
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Begin to count the next head."""
        super().on_message_complete()
        self._is_in_head = True
        self._head_bytes = 0

    def pause_writing(self) -> None:
        """Begin to wait for the client to read."""
        super().pause_writing()
        if self._write_timer is None:
            self._write_timer = self.loop.call_later(self.bounds.write_timeout_s, self._cut_off)

    def resume_writing(self) -> None:
        """End the wait for the client to read."""
        if self._write_timer is not None:
            self._write_timer.cancel()
            self._write_timer = None
        super().resume_writing()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no HTTP, and a head that is too long."""
        is_too_long = self._is_in_head and self._is_head_too_long()
        self._refuse(self._build_head_error() if is_too_long else ApiError(400, "invalid_http", msg.rstrip(".")))

    def _is_head_too_long(self) -> bool:
        if self.headers is None:
            # Nothing of a request was read yet.
            return False
        size = len(self.url) + sum(len(name) + len(value) for name, value in self.headers)
        return size > self.bounds.max_header_bytes

    def _build_head_error(self) -> ApiError:
        return ApiError(431, "headers_too_long", f"the headers are longer than {self.bounds.max_header_bytes} bytes")

    def _expect_head(self) -> None:
        self._head_timer = self.loop.call_later(self.bounds.header_timeout_s, self._give_up_on_head)

    def _give_up_on_head(self) -> None:
        self._head_timer = None
        if self._head_bytes:
            text = f"the headers did not arrive within {self.bounds.header_timeout_s:g} s"
            self._refuse(ApiError(408, "header_timeout", text))
        else:
            self.transport.close()

    def _refuse(self, error: ApiError) -> None:
        """Answer on a connection whose request was not read whole, and close it."""
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None
        if self.transport.is_closing():
            return
        if self._write_timer is not None:
            # Its client does not read: closing would wait for that, and for ever.
            self.transport.abort()
            return
        body = error.build_body()
        head = f"HTTP/1.1 {error.status} Refused\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n"
        self.transport.write(head.encode() + b"connection: close\r\n\r\n" + body)
        self.transport.close()

    def _cut_off(self) -> None:
        self._write_timer = None
        self.transport.abort()

    def _cancel_timers(self) -> None:
        for timer in (self._head_timer, self._write_timer):
            if timer is not None:
                timer.cancel()
        self._head_timer = self._write_timer = None


def build_protocol(config: GatewayConfig) -> type[BoundedProtocol]:
    """Build the class of connections within the bounds of a configuration."""
    return type("ConfiguredProtocol", (BoundedProtocol,), {"bounds": config})
