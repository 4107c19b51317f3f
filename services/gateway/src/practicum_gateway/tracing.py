"""Traces of requests, made with OpenTelemetry: one span a request, with its waits and its tries at engines below it.

Without a collector they are written to a file, one JSON document a line in OTLP's own form. They hold no content.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.json.file import FileSpanExporter
from opentelemetry.exporter.otlp.json.http import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import Span, SpanKind, StatusCode, Tracer, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from practicum_core import trace_names
from practicum_core.stages.gateway import GatewayConfig
from practicum_gateway.clock import Clock
from practicum_gateway.errors import ApiError
from practicum_gateway.event_stream import Usage
from practicum_gateway.ladder import Change

_EXPORT_MS = 1000
_COLLECTOR_S = 2.0
"""For a collector to take some spans; a gateway that ends waits no longer for it."""
_SERVICE = "practicum-gateway"
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
_PARENT = b"traceparent"
_FLAGS = re.compile(rb"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-([0-9a-f]{2})")
_SAMPLED = 1
_IDS = RandomIdGenerator()
_PROPAGATOR = TraceContextTextMapPropagator()
"""The W3C's ``traceparent`` and ``tracestate``, which vLLM reads too."""


class RequestTrace:
    """The trace of one request, from its arrival to :meth:`end`.

    Args:
        tracer: Makes spans.
        names: Of attributes for generative AI.
        clock: Of the times that are told.
        operation: What is asked of a model; empty where nothing is.
        root: The span of the request.

    Attributes:
        trace_id: In hexadecimal digits.
    """

    def __init__(self, tracer: Tracer, names: trace_names.GenAiNames, clock: Clock, operation: str, root: Span) -> None:
        self._tracer = tracer
        self._names = names
        self._clock = clock
        self._operation = operation
        self._root = root
        self._context: Context = set_span_in_context(root, Context())
        self.trace_id = f"{root.get_span_context().trace_id:032x}"

    @contextlib.contextmanager
    def span(self, name: str) -> Iterator[None]:
        """Time a block."""
        span = self._tracer.start_span(name, self._context)
        try:
            yield
        except BaseException as error:
            _mark_failed(span, error)
            raise
        finally:
            span.end()

    @contextlib.contextmanager
    def attempt(self, url: str, model: str, provider: str) -> Iterator[Attempt]:
        """Time a try at an engine; gives what tells more of it."""
        address = urlsplit(url)
        about: dict[str, str | int] = {
            trace_names.OPERATION: self._operation,
            self._names.provider: provider,
            trace_names.MODEL: model,
            trace_names.ADDRESS: address.hostname or "",
            trace_names.PORT: address.port or _PORTS.get(address.scheme, 80),
        }
        name = f"{self._operation} {model}".strip()
        span = self._tracer.start_span(name, self._context, kind=SpanKind.CLIENT, attributes=about)
        headers: dict[str, str] = {}
        _PROPAGATOR.inject(headers, set_span_in_context(span, Context()))
        try:
            yield Attempt(span, self._names, headers)
        except BaseException as error:
            _mark_failed(span, error)
            raise
        finally:
            span.end()

    def note_degraded(self, rung: str, reason: str, steps: Sequence[Change] = ()) -> None:
        """Say that a lower rung of the ladder answered.

        Args:
            rung: The rung.
            reason: Why.
            steps: Of the ladder, with times of the clock.
        """
        self._root.set_attributes({trace_names.RUNG: rung, trace_names.REASON: reason})
        now_s, now_ns = self._clock(), time.time_ns()
        for step in steps:
            about = {trace_names.BEFORE: step.before, trace_names.AFTER: step.after, trace_names.REASON: step.reason}
            self._root.add_event(trace_names.STEP_EVENT, about, timestamp=now_ns - int(_NANO * (now_s - step.at_s)))
        self._root.add_event(trace_names.DEGRADED_EVENT, {trace_names.RUNG: rung, trace_names.REASON: reason})

    def end(self, status: int, key: str) -> None:
        """End the trace.

        Args:
            status: Of HTTP, or what stands for it.
            key: Id of the key; empty for none.
        """
        self._root.set_attribute(trace_names.STATUS, status)
        if key:
            self._root.set_attribute(trace_names.KEY, key)
        if status >= _SERVER_ERROR:
            self._root.set_status(StatusCode.ERROR)
        self._root.end()


class Attempt:
    """A try at an engine while it lasts.

    Attributes:
        headers: For the engine: its own span is below this one.
    """

    def __init__(self, span: Span, names: trace_names.GenAiNames, headers: dict[str, str]) -> None:
        self.headers = headers
        self._span = span
        self._names = names
        self._started_ns = time.time_ns()

    def note_answer(self, first_token_s: float | None, usage: Usage | None) -> None:
        """Tell of the answer.

        Args:
            first_token_s: Seconds from the beginning to the first byte of a stream; ``None`` where none came.
            usage: As the engine counted it.
        """
        if first_token_s is not None:
            at_ns = self._started_ns + int(_NANO * first_token_s)
            self._span.add_event(trace_names.FIRST_TOKEN_EVENT, timestamp=at_ns)
        if usage is not None:
            counts = {
                self._names.input_tokens: usage.prompt_tokens,
                self._names.output_tokens: usage.completion_tokens,
            }
            self._span.set_attributes(counts)


class Traces:
    """Makes the traces of one gateway, until :meth:`close`.

    Args:
        exporter: Where they go.
        share: Of the requests whose clients leave the choice to the gateway.
        generation: Of the names.
        clock: Monotonic seconds.
    """

    def __init__(self, exporter: SpanExporter, share: float, generation: trace_names.Generation, clock: Clock) -> None:
        resource = Resource.create({"service.name": _SERVICE})
        self._provider = TracerProvider(sampler=ALWAYS_ON, resource=resource, shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(exporter, schedule_delay_millis=_EXPORT_MS))
        self._tracer = self._provider.get_tracer("practicum_gateway")
        self._names = trace_names.GENERATIONS[generation]
        self._clock = clock
        self._share = share

    def begin(self, method: str, path: str, headers: dict[bytes, bytes], request_id: bytes) -> RequestTrace | None:
        """Begin the trace of a request, below its client's span where it names one.

        One that is not to be traced costs little from here on. Its engine is told so by the header that is put in.

        Returns:
            The trace; ``None`` where there shall be none.
        """
        if not self._is_wanted(headers):
            # Its engine shall not begin a trace of its own.
            headers.setdefault(_PARENT, b"00-%032x-%016x-00" % (_IDS.generate_trace_id(), _IDS.generate_span_id()))
            return None
        context = None
        if _PARENT in headers:
            found = {"traceparent": headers[_PARENT], "tracestate": headers.get(b"tracestate", b"")}
            context = _PROPAGATOR.extract({name: value.decode("latin-1") for name, value in found.items()})
        about = {
            trace_names.METHOD: method,
            trace_names.PATH: path,
            trace_names.REQUEST_ID: request_id.decode("latin-1"),
        }
        root = self._tracer.start_span(f"{method} {path}", context, kind=SpanKind.SERVER, attributes=about)
        return RequestTrace(self._tracer, self._names, self._clock, _OPERATIONS.get(path, ""), root)

    def _is_wanted(self, headers: Mapping[bytes, bytes]) -> bool:
        """Whether a request is to be traced; decided before its span is made, which would cost more than to ask."""
        told = _FLAGS.match(headers.get(_PARENT, b""))
        if told is not None:
            return bool(int(told[1], 16) & _SAMPLED)
        return self._share >= 1 or random.random() < self._share  # noqa: S311 - a sample, no secret

    def close(self) -> None:
        """Export what is left."""
        self._provider.shutdown()


def build_traces(config: GatewayConfig, file: Path, clock: Clock) -> Traces:
    """Build what makes traces.

    Args:
        config: Of the gateway.
        file: Where they are written without a collector.
        clock: Monotonic seconds.
    """
    exporter: SpanExporter
    if config.trace_endpoint:
        exporter = OTLPSpanExporter(endpoint=config.trace_endpoint, timeout=_COLLECTOR_S)
    else:
        file.parent.mkdir(parents=True, exist_ok=True)
        exporter = FileSpanExporter(file)
    return Traces(exporter, config.trace_share, config.trace_names, clock)


def _mark_failed(span: Span, error: BaseException) -> None:
    """Name the error of a span by its code; its text may tell of the request."""
    told = getattr(error, "error", error)
    code = told.code if isinstance(told, ApiError) else type(error).__name__
    span.set_attribute(trace_names.ERROR, _CANCELLED if isinstance(error, asyncio.CancelledError) else code)
    span.set_status(StatusCode.ERROR)
