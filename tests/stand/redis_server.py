"""A real Redis for tests: Debian's, on loopback, with nothing on disk. Without one they are skipped by name."""

from __future__ import annotations

import contextlib
import shutil
import signal
import subprocess
import time

import redis

from gateway_stand import find_port
from lacks import skip_lacking


def require_redis() -> str:
    """Return the path of redis-server, or skip the test."""
    found = shutil.which("redis-server")
    if not found:
        skip_lacking("Redis (Debian's package redis-server)", "redis")
    return found


class RedisServer:
    """A server that can be stopped and started again, empty."""

    def __init__(self, program: str) -> None:
        self.port = find_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._program = program
        self._process: subprocess.Popen | None = None

    def start(self) -> None:
        options = ("--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no")
        self._process = subprocess.Popen([self._program, *options], stdout=subprocess.DEVNULL)
        deadline_s = time.monotonic() + 10
        with redis.Redis(port=self.port) as client:
            while True:
                with contextlib.suppress(redis.ConnectionError):
                    client.ping()
                    return
                assert time.monotonic() < deadline_s, "Redis did not start"
                time.sleep(0.02)

    def pause(self) -> None:
        """Let it hang: it accepts connections and answers nothing."""
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


@contextlib.contextmanager
def serve_redis():
    """Serve Redis; gives the server."""
    server = RedisServer(require_redis())
    server.start()
    try:
        yield server
    finally:
        server.stop()
