"""A small HTTP server of the tests' own, a process: not ready at first, ready, deaf to SIGTERM, slow or no HTTP at all.

Usage: python small_server.py PORT [BEHAVIOUR] [SECONDS]. ``/readyz`` says 503 until SECONDS after the start;
every other path is answered 200 with the process id.
"""

from __future__ import annotations

import os
import signal
import socketserver
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

STARTED_S = time.monotonic()


class Handler(BaseHTTPRequestHandler):
    ready_after_s = 0.0

    def do_GET(self):
        is_ready = self.path != "/readyz" or time.monotonic() - STARTED_S >= self.ready_after_s
        body = str(os.getpid()).encode() if is_ready else b"the model is being loaded"
        self.send_response(200 if is_ready else 503)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        """Write no line for each question."""


class Trickle(socketserver.BaseRequestHandler):
    """Sends a byte of its answer now and then, so that no single wait is long."""

    def handle(self):
        self.request.recv(1024)
        for letter in "HTTP/1.1 200 OK\r\n" + "X-Slow: yes\r\n" * 100:
            try:
                self.request.sendall(letter.encode())
            except OSError:
                return
            time.sleep(0.05)


class Babble(socketserver.BaseRequestHandler):
    def handle(self):
        self.request.recv(1024)
        self.request.sendall(b"220 mail.example.org ready\r\n")


class RawServer(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


def main(port: int, behaviour: str = "serve", ready_after_s: float = 0.0) -> None:
    Handler.ready_after_s = ready_after_s
    if behaviour == "deaf":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    handlers = {"trickle": Trickle, "babble": Babble}
    server_class = RawServer if behaviour in handlers else ThreadingHTTPServer
    with server_class(("127.0.0.1", port), handlers.get(behaviour, Handler)) as server:
        sys.stdout.write(f"listens on {port}\n")
        sys.stdout.flush()
        server.serve_forever()


if __name__ == "__main__":
    main(int(sys.argv[1]), *sys.argv[2:3], *map(float, sys.argv[3:]))
