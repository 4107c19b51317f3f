"""The trace of one request: while it lasts only names and times are noted; its spans are made later, many at once."""

from __future__ import annotations

import asyncio
import functools
import time
from collections.abc import Sequence
from dataclasses import dataclass
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
_FIRST_TOKEN = otlp.build_event_template(trace_names.FIRST_TOKEN_EVENT)
_ENDED = otlp.build_template([(trace_names.REQUEST_ID, str), (trace_names.STATUS, int), (trace_names.KEY, str)])
"""What most spans of requests tell of their ends."""
_USAGES = {
    names.input_tokens: otlp.build_template([(names.input_tokens, int), (names.output_tokens, int)])
    for names in trace_names.GENERATIONS.values()
}
"""By the first of their names."""


class _Block:
    """A part of a request that is timed (``with``), as a span below that of the request."""

    __slots__ = ("_end_s", "_error", "_start_s", "_trace")

    def __init__(self, trace: RequestTrace) -> None:
        self._trace = trace
        self._error = ""
        self._start_s = self._end_s = trace.clock()

    def __exit__(
        self, _kind: type[BaseException] | None, error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._end_s = self._trace.clock()
        if error is not None:
            self._error = _name_error(error)
        self._trace.below.append(self)

    def encode(self) -> str:
        """Return its span."""
        raise NotImplementedError

    def _encode(self, span_id: str, name: str, kind: int, attributes: str, events: str) -> str:
        trace = self._trace
        times = (trace.get_time_ns(self._start_s), trace.get_time_ns(self._end_s))
        before, after = trace.ids_below
        ids = f"{before}{span_id}{after}"
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
        return self._encode(make_span_id(), otlp.encode_text(self._name), otlp.INTERNAL, about, "")


class Attempt(_Block):
    """A try at an engine while it lasts (``with``).

    Args:
        trace: Of the request.
        engine: Its address, the model that is asked for, and who provides it.

    Attributes:
        headers: For the engine: its own span is below this one.
    """

    __slots__ = ("_engine", "_first_token_s", "_span_id", "_usage", "headers")

    def __init__(self, trace: RequestTrace, engine: tuple[str, str, str]) -> None:
        super().__init__(trace)
        self._engine = engine
        self._first_token_s: float | None = None
        self._usage: Usage | None = None
        self._span_id = make_span_id()
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
        trace = self._trace
        name, attributes = _encode_engine(trace.operation, *self._engine, trace.names.provider)
        if self._usage is not None:
            usage = _USAGES[trace.names.input_tokens] % (self._usage.prompt_tokens, self._usage.completion_tokens)
            attributes = f"{attributes},{usage}"
        if self._error:
            attributes = f"{attributes},{otlp.encode_attributes([(trace_names.ERROR, self._error)])}"
        events = ""
        if self._first_token_s is not None:
            events = _FIRST_TOKEN % trace.get_time_ns(self._start_s + self._first_token_s)
        return self._encode(self._span_id, name, otlp.CLIENT, attributes, events)


@dataclass(frozen=True, slots=True)
class _Degraded:
    """That a lower rung of the ladder answered, when it was said, and the steps that led to it."""

    rung: str
    reason: str
    at_s: float
    steps: tuple[Change, ...]


class RequestTrace:
    """The trace of one request, from its arrival to :meth:`finish`; :meth:`encode` makes spans of it.

    Args:
        names: Of attributes for generative AI.
        clock: Monotonic seconds.
        asked: Method, path, and id of the request.
        parent: What its client told; ``None`` where it told nothing.

    Attributes:
        trace_id: In hexadecimal digits.
        ids_below: What stands before and after the id of a span below that of the request; made with the spans.
        state: The client's ``tracestate``.
        clock: Likewise.
        names: Likewise.
        below: The waits and tries that have ended.
    """

    __slots__ = (
        "_asked", "_degraded", "_end_s", "_key", "_parent_id", "_start_ns", "_start_s", "_status",
        "below", "clock", "ids_below", "names", "state", "trace_id",
    )  # fmt: skip

    def __init__(
        self, names: trace_names.GenAiNames, clock: Clock, asked: tuple[str, str, bytes], parent: Parent | None
    ) -> None:
        self._asked = asked
        self.clock = clock
        self.names = names
        self.trace_id, self._parent_id, self.state = parent or (make_trace_id(), "", "")
        self.below: list[_Block] = []
        self._degraded: _Degraded | None = None
        self._status, self._key, self.ids_below = 0, "", ("", "")
        # The time of day is read once for each trace, so that it is right, and no step of it makes a span negative.
        self._start_ns = time.time_ns()
        self._start_s = self._end_s = clock()

    @property
    def operation(self) -> str:
        """What is asked of a model; empty where nothing is."""
        return _OPERATIONS.get(self._asked[1], "")

    def get_time_ns(self, at_s: float) -> int:
        """Return the nanoseconds since the epoch of a moment on the clock."""
        return self._start_ns + int(_NANO * (at_s - self._start_s))

    def span(self, name: str) -> Wait:
        """Time a block."""
        return Wait(self, name)

    def attempt(self, url: str, model: str, provider: str) -> Attempt:
        """Time a try at an engine; gives what tells more of it."""
        # A client may name a model at any length.
        return Attempt(self, (url, model[: otlp.MAX_CHARS], provider))

    def note_degraded(self, rung: str, reason: str, steps: Sequence[Change] = ()) -> None:
        """Say that a lower rung of the ladder answered.

        Args:
            rung: The rung.
            reason: Why.
            steps: Of the ladder, with times of the clock.
        """
        self._degraded = _Degraded(rung, reason, self.clock(), tuple(steps))

    def finish(self, status: int, key: str) -> None:
        """End the trace.

        Args:
            status: Of HTTP, or what stands for it.
            key: Id of the key; empty for none.
        """
        self._end_s = self.clock()
        self._status = status
        self._key = key

    def encode(self) -> bytes:
        """Return its spans, once, with commas between."""
        span_id = make_span_id()
        self.ids_below = otlp.build_ids(self.trace_id, self.state, span_id, otlp.LOCAL_PARENT)
        spans = [*[one.encode() for one in self.below], self._encode_root(span_id)]
        self.discard()
        return ",".join(spans).encode()

    def discard(self) -> None:
        """Let its spans go: they and the trace hold each other, and would wait for the garbage collector."""
        self.below.clear()

    def _encode_root(self, span_id: str) -> str:
        method, path, _ = self._asked
        name, asked = _encode_asked(method, path)
        flags = otlp.REMOTE_PARENT if self._parent_id else otlp.LOCAL_PARENT
        before, after = otlp.build_ids(self.trace_id, self.state, self._parent_id, flags)
        return otlp.encode_span(
            f"{before}{span_id}{after}",
            name,
            otlp.SERVER,
            (self._start_ns, self.get_time_ns(self._end_s)),
            f"{asked},{self._encode_end()}",
            "" if self._degraded is None else self._encode_steps(self._degraded),
            is_failed=self._status >= _SERVER_ERROR,
        )

    def _encode_end(self) -> str:
        """Return the attributes that say which request it was, and how it ended."""
        request_id = self._asked[2].decode("latin-1")
        if self._degraded is None and self._key:
            return _ENDED % (otlp.encode_text(request_id), self._status, otlp.encode_text(self._key))
        rung = () if self._degraded is None else _list_rung(self._degraded)
        told = [(trace_names.REQUEST_ID, request_id), *rung, (trace_names.STATUS, self._status)]
        return otlp.encode_attributes([*told, (trace_names.KEY, self._key)] if self._key else told)

    def _encode_steps(self, degraded: _Degraded) -> str:
        events = []
        for step in degraded.steps:
            about = (
                (trace_names.BEFORE, step.before),
                (trace_names.AFTER, step.after),
                (trace_names.REASON, step.reason),
            )
            events.append(otlp.encode_event(trace_names.STEP_EVENT, self.get_time_ns(step.at_s), about))
        at_ns = self.get_time_ns(degraded.at_s)
        events.append(otlp.encode_event(trace_names.DEGRADED_EVENT, at_ns, _list_rung(degraded)))
        return ",".join(events)


def _list_rung(degraded: _Degraded) -> list[otlp.Attribute]:
    return [(trace_names.RUNG, degraded.rung), (trace_names.REASON, degraded.reason)]


@functools.lru_cache(maxsize=256)
def _encode_asked(method: str, path: str) -> tuple[str, str]:
    """Return name and first attributes of the span of a request."""
    about = ((trace_names.METHOD, method), (trace_names.PATH, path))
    return otlp.encode_text(f"{method} {path}"), otlp.encode_attributes(about)


@functools.lru_cache(maxsize=256)
def _encode_engine(operation: str, url: str, model: str, provider: str, provider_name: str) -> tuple[str, str]:
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
