"""The trace of one request while it lasts: names and times, of which spans are made after its answer was sent."""

from __future__ import annotations

import asyncio
import functools
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

from practicum_core import trace_names
from practicum_gateway import otlp
from practicum_gateway.clock import Clock
from practicum_gateway.errors import ApiError
from practicum_gateway.event_stream import Usage
from practicum_gateway.ladder import Change
from practicum_gateway.trace_context import Parent, make_span_id, make_trace_id

_NANO = 1e9
_SERVER_ERROR = 500
_CANCELLED = "cancelled"
"""Error of a try that was given up: its client went away or its deadline passed, as the status of the request says."""
_OPERATIONS = {
    "/v1/chat/completions": "chat",
    "/v1/completions": "text_completion",
    "/v1/embeddings": "embeddings",
}
_PORTS = {"https": 443}


class _Block:
    """A block of a request that is timed (``with``), as a span below that of the request."""

    __slots__ = ("_end_s", "_error", "_span_id", "_start_s", "_trace")

    def __init__(self, trace: RequestTrace) -> None:
        self._trace = trace
        self._span_id = make_span_id()
        self._error = ""
        self._start_s = self._end_s = trace.clock()

    def __exit__(
        self, _kind: type[BaseException] | None, error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        trace = self._trace
        self._end_s = trace.clock()
        if error is not None:
            self._error = _name_error(error)
        trace.below.append(self)

    def encode(self) -> str:
        """Return its span."""
        raise NotImplementedError

    def _encode(self, name: str, kind: int, attributes: str, events: str) -> str:
        trace = self._trace
        times = (trace.get_time_ns(self._start_s), trace.get_time_ns(self._end_s))
        ids = otlp.encode_ids(trace.trace_id, self._span_id, trace.state, trace.span_id, otlp.LOCAL_PARENT)
        return otlp.encode_span(ids, name, kind, times, attributes, events, is_failed=bool(self._error))


class Wait(_Block):
    """A wait of a request.

    Args:
        trace: Of the request.
        name: What is waited for.
    """

    __slots__ = ("_name",)

    def __init__(self, trace: RequestTrace, name: str) -> None:
        super().__init__(trace)
        self._name = name

    def __enter__(self) -> None:
        return None

    def encode(self) -> str:
        """Return its span."""
        about = otlp.encode_attributes([(trace_names.ERROR, self._error)]) if self._error else ""
        return self._encode(otlp.encode_text(self._name), otlp.INTERNAL, about, "")


class Attempt(_Block):
    """A try at an engine while it lasts (``with``).

    Args:
        trace: Of the request.
        about: Name of the span and what it says from the start, encoded.

    Attributes:
        headers: For the engine: its own span is below this one.
    """

    __slots__ = ("_about", "_first_token_s", "_usage", "headers")

    def __init__(self, trace: RequestTrace, about: tuple[str, str]) -> None:
        super().__init__(trace)
        self._about = about
        self._first_token_s: float | None = None
        self._usage: Usage | None = None
        self.headers = {"traceparent": f"00-{trace.trace_id}-{self._span_id}-01"}
        if trace.state:
            self.headers["tracestate"] = trace.state

    def __enter__(self) -> Self:
        return self

    def note_answer(self, first_token_s: float | None, usage: Usage | None) -> None:
        """Tell of the answer.

        Args:
            first_token_s: Seconds from the beginning to the first byte of a stream; ``None`` where none came.
            usage: As the engine counted it.
        """
        self._first_token_s = first_token_s
        self._usage = usage

    def encode(self) -> str:
        """Return its span."""
        name, attributes = self._about
        more: list[otlp.Attribute] = []
        if self._usage is not None:
            names = self._trace.names
            more = [
                (names.input_tokens, self._usage.prompt_tokens),
                (names.output_tokens, self._usage.completion_tokens),
            ]
        if self._error:
            more.append((trace_names.ERROR, self._error))
        if more:
            attributes = f"{attributes},{otlp.encode_attributes(more)}"
        events = ""
        if self._first_token_s is not None:
            at_ns = self._trace.get_time_ns(self._start_s + self._first_token_s)
            events = otlp.encode_event(trace_names.FIRST_TOKEN_EVENT, at_ns)
        return self._encode(name, otlp.CLIENT, attributes, events)


class RequestTrace:
    """The trace of one request, from its arrival to :meth:`encode`.

    Args:
        names: Of attributes for generative AI.
        clock: Monotonic seconds.
        asked: Method, path, and id of the request.
        parent: What its client told; ``None`` where it told nothing.

    Attributes:
        trace_id: In hexadecimal digits.
        span_id: Of the request, likewise.
        state: The client's ``tracestate``.
        clock: Likewise.
        names: Likewise.
        below: The spans below that of the request which have ended.
    """

    __slots__ = (
        "_asked", "_events", "_parent_id", "_rung", "_start_ns", "_start_s",
        "below", "clock", "names", "span_id", "state", "trace_id",
    )  # fmt: skip

    def __init__(
        self, names: trace_names.GenAiNames, clock: Clock, asked: tuple[str, str, bytes], parent: Parent | None
    ) -> None:
        self._asked = asked
        self.clock = clock
        self.names = names
        self.trace_id, self._parent_id, self.state = parent or (make_trace_id(), "", "")
        self.span_id = make_span_id()
        self.below: list[_Block] = []
        self._rung: tuple[str, str] | None = None
        self._events: list[str] = []
        # The time of day is read once for each trace, so that it is right, and no step of it makes a span negative.
        self._start_ns = time.time_ns()
        self._start_s = self.clock()

    def get_time_ns(self, at_s: float) -> int:
        """Return the nanoseconds since the epoch of a moment on the clock."""
        return self._start_ns + int(_NANO * (at_s - self._start_s))

    def span(self, name: str) -> Wait:
        """Time a block."""
        return Wait(self, name)

    def attempt(self, url: str, model: str, provider: str) -> Attempt:
        """Time a try at an engine; gives what tells more of it."""
        operation = _OPERATIONS.get(self._asked[1], "")
        return Attempt(self, _encode_attempt(operation, url, model, provider, self.names.provider))

    def note_degraded(self, rung: str, reason: str, steps: Sequence[Change] = ()) -> None:
        """Say that a lower rung of the ladder answered.

        Args:
            rung: The rung.
            reason: Why.
            steps: Of the ladder, with times of the clock.
        """
        self._rung = (rung, reason)
        before, after, why = trace_names.BEFORE, trace_names.AFTER, trace_names.REASON
        for step in steps:
            about = ((before, step.before), (after, step.after), (why, step.reason))
            self._events.append(otlp.encode_event(trace_names.STEP_EVENT, self.get_time_ns(step.at_s), about))
        told = ((trace_names.RUNG, rung), (trace_names.REASON, reason))
        self._events.append(otlp.encode_event(trace_names.DEGRADED_EVENT, self.get_time_ns(self.clock()), told))

    def encode(self, status: int, key: str) -> bytes:
        """End the trace, and return its spans with commas between.

        Args:
            status: Of HTTP, or what stands for it.
            key: Id of the key; empty for none.
        """
        end_s = self.clock()
        method, path, request_id = self._asked
        name, asked = _encode_asked(method, path)
        more: list[otlp.Attribute] = [(trace_names.REQUEST_ID, request_id.decode("latin-1"))]
        if self._rung is not None:
            more += [(trace_names.RUNG, self._rung[0]), (trace_names.REASON, self._rung[1])]
        more.append((trace_names.STATUS, status))
        if key:
            more.append((trace_names.KEY, key))
        flags = otlp.REMOTE_PARENT if self._parent_id else otlp.LOCAL_PARENT
        root = otlp.encode_span(
            otlp.encode_ids(self.trace_id, self.span_id, self.state, self._parent_id, flags),
            name,
            otlp.SERVER,
            (self._start_ns, self.get_time_ns(end_s)),
            f"{asked},{otlp.encode_attributes(more)}",
            ",".join(self._events),
            is_failed=status >= _SERVER_ERROR,
        )
        spans = [*[one.encode() for one in self.below], root]
        self.discard()
        return ",".join(spans).encode()

    def discard(self) -> None:
        """Let its spans go: they and the trace hold each other, and would wait for the garbage collector."""
        self.below.clear()


@functools.lru_cache(maxsize=256)
def _encode_asked(method: str, path: str) -> tuple[str, str]:
    """Return name and first attributes of the span of a request."""
    about = ((trace_names.METHOD, method), (trace_names.PATH, path))
    return otlp.encode_text(f"{method} {path}"), otlp.encode_attributes(about)


@functools.lru_cache(maxsize=256)
def _encode_attempt(operation: str, url: str, model: str, provider: str, provider_name: str) -> tuple[str, str]:
    """Return name and first attributes of the span of a try at an engine."""
    address = urlsplit(url)
    about: list[otlp.Attribute] = [
        (trace_names.OPERATION, operation),
        (provider_name, provider),
        (trace_names.MODEL, model),
        (trace_names.ADDRESS, address.hostname or ""),
        (trace_names.PORT, address.port or _PORTS.get(address.scheme, 80)),
    ]
    return otlp.encode_text(f"{operation} {model}".strip()), otlp.encode_attributes(about)


def _name_error(error: BaseException) -> str:
    """Name the error of a span by its code; its text may tell of the request."""
    if isinstance(error, asyncio.CancelledError):
        return _CANCELLED
    told = getattr(error, "error", error)
    return told.code if isinstance(told, ApiError) else type(error).__name__
