"""Traces of requests in OpenTelemetry's form: one span a request, with its waits and its tries at engines below it.

They hold no content. Without a collector they are written to a file, one JSON document a line in OTLP's own form.
"""

from __future__ import annotations

import random
from pathlib import Path

from practicum_core import trace_names
from practicum_core.stages.gateway import GatewayConfig
from practicum_gateway import otlp
from practicum_gateway.clock import Clock
from practicum_gateway.request_trace import RequestTrace
from practicum_gateway.span_export import SpanCollector, SpanExport, SpanFile
from practicum_gateway.strangers import StrangerBudget
from practicum_gateway.trace_context import PARENT, make_span_id, make_trace_id, read_parent

_SERVICE, _SCOPE = "practicum-gateway", "practicum_gateway"
_MOST_OF_STRANGERS = 20_000
"""Traces of requests without a valid key: a sixteenth of what a file takes."""


class Traces:
    """Makes the traces of one gateway, until :meth:`close`.

    Args:
        export: Takes finished spans.
        share: Of the requests whose clients leave the choice to the gateway.
        generation: Of the names.
        clock: Monotonic seconds.

    Attributes:
        export: Likewise.
    """

    def __init__(self, export: SpanExport, share: float, generation: trace_names.Generation, clock: Clock) -> None:
        self.export = export
        self._names = trace_names.GENERATIONS[generation]
        self._clock = clock
        self._strangers = StrangerBudget(_MOST_OF_STRANGERS, clock)
        self._share = share

    def begin(self, method: str, path: str, headers: dict[bytes, bytes], request_id: bytes) -> RequestTrace | None:
        """Begin the trace of a request, below its client's span where it names one.

        One that is not to be traced costs little from here on. Its engine is told so by the header that is put in.

        Returns:
            The trace; ``None`` where there shall be none.
        """
        told = read_parent(headers)
        if told is None:
            parent = None
            is_wanted = self._share >= 1 or random.random() < self._share  # noqa: S311 - a sample, no secret
        else:
            parent, is_wanted = told
        if not is_wanted:
            if parent is None:
                # Its engine shall not begin a trace of its own, as it would with no header or with one that is broken.
                headers[PARENT] = f"00-{make_trace_id()}-{make_span_id()}-00".encode()
            return None
        return RequestTrace(self._names, self._clock, (method, path, request_id), parent)

    def end(self, trace: RequestTrace, status: int, key: str) -> None:
        """End a trace. Those of requests without a valid key are written within a budget.

        Args:
            trace: That was begun.
            status: Of HTTP, or what stands for it.
            key: Id of the key; empty for none.
        """
        if key or self._strangers.acquire():
            trace.finish(status, key)
            self.export.add(trace)
        else:
            trace.discard()
            self.export.dropped["no_key"] += 1

    def close(self) -> None:
        """Export what is left."""
        self.export.close()


def build_traces(config: GatewayConfig, file: Path, clock: Clock) -> Traces:
    """Build what makes traces.

    Args:
        config: Of the gateway.
        file: Where they are written without a collector.
        clock: Monotonic seconds.

    Raises:
        OSError: The file cannot be opened.
    """
    sink = SpanCollector(config.trace_endpoint) if config.trace_endpoint else SpanFile(file)
    export = SpanExport(sink, otlp.build_frame(_SERVICE, _SCOPE))
    return Traces(export, config.trace_share, config.trace_names, clock)
