"""A receiver of OTLP/HTTP on loopback that writes spans to a file, for vLLM sends its traces only to an address."""

from __future__ import annotations

import contextlib
import gzip
import logging
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

_MAX_BYTES = 64 << 20
_MAX_FILE_BYTES = 512 << 20
_PATH = "/v1/traces"
_LOG = logging.getLogger(__name__)


@contextlib.contextmanager
def receive_traces(file: Path) -> Iterator[str]:
    """Write what is sent to ``file``, one JSON document a line, up to 512 MiB; gives the address to send it to."""
    file.parent.mkdir(parents=True, exist_ok=True)
    lines = _Lines(file)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = int(self.headers.get("content-length", 0))
            if self.path != _PATH or length > _MAX_BYTES:
                self.send_error(404)
                return
            body = self.rfile.read(length)
            line = read_request(gzip.decompress(body) if self.headers.get("content-encoding") == "gzip" else body)
            lines.append(line)
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
            """Log nothing: each request would be a line of the step's log."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, name="trace-receiver", daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}{_PATH}"
    finally:
        server.shutdown()
        server.server_close()
        if lines.num_dropped:
            _LOG.warning("%s lacks %d documents", file, lines.num_dropped)


class _Lines:
    """A file of lines with a size that it does not pass; what comes after is counted."""

    def __init__(self, file: Path) -> None:
        self.num_dropped = 0
        self._file = file
        self._lock = threading.Lock()

    def append(self, line: str) -> None:
        text = f"{line}\n".encode()
        with self._lock, self._file.open("ab") as lines:
            if not self.num_dropped and lines.tell() + len(text) <= _MAX_FILE_BYTES:
                lines.write(text)
                return
            if not self.num_dropped:
                _LOG.warning("%s has %d MiB; later spans are only counted", self._file, _MAX_FILE_BYTES >> 20)
            self.num_dropped += 1


def read_request(body: bytes) -> str:
    """Return the JSON of a request to export spans; ids are in base64, as protobuf's own JSON writes them."""
    from google.protobuf.json_format import MessageToJson  # noqa: PLC0415 - only where traces are wanted
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest  # noqa: PLC0415

    return str(MessageToJson(ExportTraceServiceRequest.FromString(body), indent=None))
