"""The init process of the cluster's PID namespace: it reaps orphaned processes.

When it ends, the kernel kills all other processes in the namespace.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time


def main() -> None:
    """Reap processes until a signal arrives."""
    signal.signal(signal.SIGTERM, _end)
    signal.signal(signal.SIGCHLD, _reap)
    while True:
        _reap()
        time.sleep(1)


def _reap(*_: object) -> None:
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def _end(*_: object) -> None:
    raise SystemExit(0)


if __name__ == "__main__":
    main()
