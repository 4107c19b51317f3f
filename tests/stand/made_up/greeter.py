"""The program of the stage ``greeter``."""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from made_up.stages.greeter import GreeterConfig, GreeterRecord
from practicum_core.metrics import Metric
from practicum_core.stage_process import HOST_VARIABLE, PORT_VARIABLE
from practicum_jobs.context import StageContext

_POLL_S = 0.05


def run(config: GreeterConfig, ctx: StageContext) -> GreeterRecord:
    """Greet until a stop is requested."""
    ready_s = time.monotonic() + config.startup_s
    counts = {"greetings": 0}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path == "/readyz" and time.monotonic() < ready_s:
                self._answer(503, {"status": "starting"})
            elif self.path in {"/readyz", "/healthz"}:
                self._answer(200, {"status": "ok"})
            else:
                counts["greetings"] += 1
                self._answer(200, {"greeting": config.greeting, "server": f"{socket.gethostname()}/{os.getpid()}"})

        def _answer(self, status: int, document: dict[str, str]) -> None:
            body = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *words: object) -> None:
            """Log nothing: the probe asks every second."""

    address = (os.environ.get(HOST_VARIABLE, "127.0.0.1"), int(os.environ[PORT_VARIABLE]))
    server = ThreadingHTTPServer(address, Handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": _POLL_S}, daemon=True).start()
    try:
        while not ctx.is_stop_requested:
            time.sleep(_POLL_S)
    finally:
        server.shutdown()
        server.server_close()
    asked = counts["greetings"]
    return GreeterRecord(
        **ctx.build_record_fields(), num_requests=asked, metrics=[Metric(name="num_requests", value=asked)]
    )
