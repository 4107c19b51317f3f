"""A server of OpenAI's API whose answers a function gives."""

from __future__ import annotations

import contextlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@contextlib.contextmanager
def serve(name, answer, key=""):
    """Serve OpenAI's API with a function from the last turn to the answer; ``None`` is an error.

    With a key, requests without it are refused.
    """

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            if self._is_refused():
                return
            self._send(200, {"data": [{"id": name}]})

        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if self._is_refused():
                return
            text = answer(body["messages"][-1]["content"])
            choice = {"message": {"content": text}, "finish_reason": "stop"}
            self._send(500 if text is None else 200, {"choices": [choice]})

        def _is_refused(self):
            is_refused = bool(key) and self.headers["Authorization"] != f"Bearer {key}"
            if is_refused:
                self._send(401, {"error": {"message": "no valid key"}})
            return is_refused

        def _send(self, status, document):
            content = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
