"""The way of finished spans out of the gateway: a bounded queue, and a thread that takes them to a file or collector.

No request waits for it. What does not fit into queue or file, or what a collector does not take, is counted.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

from opentelemetry.exporter.otlp.json.http import OTLPSpanExporter
from prometheus_client.core import CounterMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from practicum_core.line_file import LineFile

_EXPORT_S = 1.0
_COLLECTOR_S = 2.0
"""For a collector to take some spans; a gateway that ends waits no longer for it."""
_MAX_QUEUED = 8192
"""Traces, of about 2 KB each."""
_BATCH = 64
"""Traces of one document: a line of a file, or a request to a collector. To encode them takes half a millisecond, for
which the other thread waits."""
MAX_FILE_BYTES = 512 << 20
"""About 350,000 traces of three spans."""
_REASONS = ("queue_full", "file_full", "not_taken", "no_key", "fault")
_LOG = logging.getLogger(__name__)


class Finished(Protocol):
    """A trace that has ended."""

    def encode(self) -> bytes:
        """Return its spans, with commas between."""
        ...

    def discard(self) -> None:
        """Let its spans go."""
        ...


class Sink(Protocol):
    """Where documents go.

    Attributes:
        reason: Why one was not taken, as it is counted.
    """

    reason: str

    def write(self, document: bytes) -> bool:
        """Take a document, and return whether it was taken."""
        ...

    def close(self) -> None:
        """Take no more."""
        ...


class SpanFile(LineFile):
    """A file of documents, one a line. One that is there is continued, up to a size.

    Args:
        path: The file.
        max_bytes: Its size at most; what comes after is not written.

    Raises:
        OSError: It cannot be opened.
    """

    def __init__(self, path: Path, max_bytes: int = MAX_FILE_BYTES) -> None:
        super().__init__(path, max_bytes, "later traces", _LOG)
        self.reason = "file_full"


class SpanCollector:
    """A collector that takes OTLP over HTTP, asked as OpenTelemetry's exporter does, with its variables and retries.

    Args:
        endpoint: Its address.
    """

    def __init__(self, endpoint: str) -> None:
        self.reason = "not_taken"
        self._exporter = OTLPSpanExporter(endpoint=endpoint, timeout=_COLLECTOR_S)
        # Its own method takes spans of the SDK only, which cost too much. The version is locked, and a test sends.
        self._client = self._exporter._client  # noqa: SLF001

    def write(self, document: bytes) -> bool:
        """Send a document; the exporter logs what fails."""
        return self._client.export(document).success

    def close(self) -> None:
        """Close the connection."""
        self._exporter.shutdown()


class SpanExport(Collector):
    """Takes finished traces to a sink until :meth:`close`; a collector of Prometheus' client.

    They are encoded many at once: one by one, between other work, that took twice as long, for it found the processor's
    caches cold.

    Args:
        sink: Where they go.
        frame: What stands before and after the spans of a document.

    Attributes:
        dropped: Traces that did not arrive, by reason.
    """

    def __init__(self, sink: Sink, frame: tuple[bytes, bytes]) -> None:
        self.dropped: Counter[str] = Counter(dict.fromkeys(_REASONS, 0))
        self._sink = sink
        self._head, self._tail = frame
        self._queue: deque[Finished] = deque()
        self._wake = threading.Event()
        self._is_ending = False
        self._thread = threading.Thread(target=self._run, name="span-export", daemon=True)
        self._thread.start()

    def add(self, trace: Finished) -> None:
        """Take a trace, to which nothing is added any more. Called by one thread."""
        if len(self._queue) >= _MAX_QUEUED:
            self.dropped["queue_full"] += 1
            trace.discard()
        else:
            self._queue.append(trace)
            if len(self._queue) == _BATCH:
                # Kept for longer, they would be what the garbage collector walks through again and again.
                self._wake.set()

    def _run(self) -> None:
        while not self._is_ending:
            self._wake.wait(_EXPORT_S)
            self._wake.clear()
            self._export()
        self._export()
        self._sink.close()

    def _export(self) -> None:
        while self._queue:
            traces = list(self._encode(min(_BATCH, len(self._queue))))
            if not traces or self._write(traces):
                continue
            self.dropped[self._sink.reason] += len(traces)
            if self._is_ending:
                # A collector that hangs must not hold up the end of the gateway batch by batch. Nothing may be left
                # in the queue: the thread exports once more at its end, and would wait and count a second time.
                self.dropped[self._sink.reason] += len(self._queue)
                self._queue.clear()

    def _write(self, traces: Sequence[bytes]) -> bool:
        try:
            return self._sink.write(b"".join((self._head, b",".join(traces), self._tail)))
        except Exception:  # noqa: BLE001 - the edge of a thread: what one document meets must not end all others
            _LOG.exception("some traces cannot be written")
            return False

    def _encode(self, count: int) -> Iterator[bytes]:
        for _ in range(count):
            trace = self._queue.popleft()
            try:
                spans = trace.encode()
            except Exception:  # noqa: BLE001 - the edge of a thread: one trace must not end all others
                _LOG.exception("a trace cannot be written")
                self.dropped["fault"] += 1
            else:
                yield spans

    def close(self) -> None:
        """Export what is left."""
        self._is_ending = True
        self._wake.set()
        self._thread.join()
        told = {reason: count for reason, count in self.dropped.items() if count}
        if told:
            _LOG.warning("traces that were not written: %s", told)

    def collect(self) -> Iterator[Metric]:
        """Build Prometheus' family."""
        text = "Traces that were not written: queue or file full, not taken by a collector, of nobody's key, a fault."
        family = CounterMetricFamily("practicum_gateway_traces_dropped", text, labels=["reason"])
        for reason, count in self.dropped.items():
            family.add_metric([reason], count)
        yield family
