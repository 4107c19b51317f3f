"""A receiver of OTLP/HTTP on loopback that writes spans to a file, for vLLM sends its traces only to an address."""

from __future__ import annotations

import contextlib
import gzip
import logging
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from practicum_core.line_file import LineFile

_MAX_BYTES = 64 << 20
_MAX_FILE_BYTES = 512 << 20
_PATH = "/v1/traces"
_LOG = logging.getLogger(__name__)


@contextlib.contextmanager
def receive_traces(file: Path) -> Iterator[str]:
    """Write what is sent to ``file``, one JSON document a line, up to 512 MiB; gives the address to send it to."""
    lines, lock, num_dropped = LineFile(file, _MAX_FILE_BYTES, "later spans", _LOG), threading.Lock(), 0

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            nonlocal num_dropped
            length = int(self.headers.get("content-length", 0))
            if self.path != _PATH or length > _MAX_BYTES:
                self.send_error(404)
                return
            body = self.rfile.read(length)
            line = read_request(gzip.decompress(body) if self.headers.get("content-encoding") == "gzip" else body)
            with lock:
                num_dropped += not lines.write(line.encode())
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
        with lock:
            lines.close()
        if num_dropped:
            _LOG.warning("%s lacks %d documents", file, num_dropped)


def read_request(body: bytes) -> str:
    """Return the JSON of a request to export spans; ids are in base64, as protobuf's own JSON writes them."""
    from google.protobuf.json_format import MessageToJson  # noqa: PLC0415 - only where traces are wanted
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest  # noqa: PLC0415

    return str(MessageToJson(ExportTraceServiceRequest.FromString(body), indent=None))
