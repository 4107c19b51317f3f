"""What stands before an engine's own HTTP application: the probes of a stage, and the key of the run."""

from __future__ import annotations

import hmac
import json
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Message, Receive, Send], Awaitable[None]]

PROBES = frozenset({"/readyz", "/healthz"})
_OPEN = frozenset({"/metrics", "/health"})
"""Answered without the key: they hold counts, and no text of any request."""
_REFUSAL = {"message": "this engine answers its own gateway", "type": "authentication_error", "code": "invalid_api_key"}


class Doorway:
    """An ASGI application with probes and a key before it.

    Args:
        app: The engine's.
        is_alive: Whether the engine is.
        key: What a request must carry as a bearer token; empty where none is asked for.

    Attributes:
        is_ready: Whether the first answer was given.
    """

    def __init__(self, app: Application, is_alive: Callable[[], bool], key: str = "") -> None:
        self._app = app
        self._is_alive = is_alive
        self._header = f"Bearer {key}".encode() if key else b""
        self.is_ready = False

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer a probe, refuse a stranger, or let the engine answer."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        path = scope["path"]
        if path in PROBES:
            await self._answer_probe(path, send)
        elif self._header and path not in _OPEN and not self._has_key(scope):
            await _respond(send, 401, json.dumps({"error": _REFUSAL}).encode())
        else:
            await self._app(scope, receive, send)

    async def _answer_probe(self, path: str, send: Send) -> None:
        is_well = self._is_alive() and (self.is_ready or path == "/healthz")
        text = b"ok" if is_well else b"the first answer is being computed" if self._is_alive() else b"the engine died"
        await _respond(send, 200 if is_well else 503, text)

    def _has_key(self, scope: Message) -> bool:
        given = [value for name, value in scope["headers"] if name == b"authorization"]
        return len(given) == 1 and hmac.compare_digest(given[0], self._header)


async def _respond(send: Send, status: int, body: bytes) -> None:
    headers = [(b"content-type", b"application/json")] if body.startswith(b"{") else []
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
