"""Server-sent events of a streamed answer: cut apart as they come, and the usage at their end found.

A chunk goes on to the client as soon as its events are whole. Where the client did not ask for usage, the gateway asked
in its place, and the last event, which holds nothing but usage, is kept back.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

import msgspec

_DATA = b"data:"
_MAX_EVENT_BYTES = 8 << 20
_BAD_REQUEST, _FAILED = 400, 500
_NO_CHOICES = (b"[]", b"null")


@dataclass(frozen=True)
class Usage:
    """Tokens of a request, as its engine counted them."""

    prompt_tokens: int
    completion_tokens: int

    @property
    def total_tokens(self) -> int:
        """Both together."""
        return self.prompt_tokens + self.completion_tokens


class EventStream:
    """The events of one answer.

    Args:
        hides_usage: Whether an event that only tells usage is kept back.

    Attributes:
        usage: The last usage that was told.
        num_events: Events that had content.
        is_complete: Whether the engine said that the answer is complete.
        has_failed: Whether the engine told a failure of its own, as vLLM does inside an answer that has begun.
    """

    def __init__(self, *, hides_usage: bool) -> None:
        self._hides_usage = hides_usage
        self._rest = b""
        self._end = b""
        self.usage: Usage | None = None
        self.num_events = 0
        self.is_complete = False
        self.has_failed = False

    def feed(self, chunk: bytes) -> bytes:
        """Take in a chunk and return what goes on to the client now: whole events only, as they came.

        Raises:
            ValueError: An event does not end.
        """
        data = self._rest + chunk if self._rest else chunk
        if not self._end and b"\n" in data:
            # JSON in one line has no raw line breaks, so the first one shows how lines end.
            self._end = b"\r\n\r\n" if b"\r\n" in data else b"\n\n"
        whole, end, self._rest = data.rpartition(self._end or b"\n\n")
        if len(self._rest) > _MAX_EVENT_BYTES:
            raise ValueError(f"an event is longer than {_MAX_EVENT_BYTES} bytes")
        if not end:
            return b""
        kept = [event for event in whole.split(end) if not self._take(event)]
        return end.join(kept) + end if kept else b""

    def finish(self) -> bytes:
        """Return what is left when the engine has ended its answer."""
        rest, self._rest = self._rest, b""
        return b"" if not rest or self._take(rest) else rest

    def _take(self, event: bytes) -> bool:
        """Read an event; return whether it is kept back."""
        payload = event.removeprefix(_DATA).strip()
        if payload == b"[DONE]":
            self.is_complete = True
            return False
        if event.startswith(b":"):
            return False
        if event.startswith(_DATA) and not (payload.startswith(b"{") and payload.endswith(b"}")):
            # Half an event of an engine in trouble: its client could only fail over it.
            raise ValueError("an event is no JSON object")
        self.num_events += 1
        if payload.startswith(b'{"error"'):
            self.has_failed |= _is_own_failure(_parse(payload).get("error"))
        if b'"usage"' not in payload:
            return False
        told = _read_told(payload)
        usage = _read_counts(told)
        if usage is None:
            return False
        self.usage = usage
        return self._hides_usage and bytes(told.choices) in _NO_CHOICES


class _Counts(msgspec.Struct):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None


class _Told(msgspec.Struct):
    """What the gateway reads of an answer, or of an event."""

    usage: _Counts | None = None
    choices: msgspec.Raw = msgspec.Raw(b"[]")


_TOLD = msgspec.json.Decoder(_Told)


def _read_told(payload: bytes) -> _Told:
    try:
        return _TOLD.decode(payload)
    except (msgspec.MsgspecError, RecursionError):
        return _Told()


def _read_counts(told: _Told) -> Usage | None:
    if told.usage is None:
        return None
    counts = (told.usage.prompt_tokens or 0, told.usage.completion_tokens or 0)
    return Usage(*counts) if min(counts) >= 0 else None


def read_body_usage(body: bytes) -> Usage | None:
    """Return the usage of an answer that came in one piece; ``None`` where it tells none."""
    return _read_counts(_read_told(body))


def has_error_shape(body: bytes) -> bool:
    """Whether an answer is an error as OpenAI's API shapes it.

    >>> has_error_shape(b'{"error": {"message": "no"}}'), has_error_shape(b'{"detail": "Not Found"}')
    (True, False)
    """
    return isinstance(_parse(body).get("error"), dict)


def _is_own_failure(error: object) -> bool:
    """Whether an error is one of the engine: a code of 400 to 499 says that the request was wrong."""
    code = error.get("code") if isinstance(error, dict) else None
    return not (isinstance(code, int) and _BAD_REQUEST <= code < _FAILED)


def _parse(payload: bytes) -> dict[str, object]:
    try:
        document = json.loads(payload)
    except (ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}
