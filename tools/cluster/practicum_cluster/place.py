"""The lock that allows only one bare cluster on a machine. A cluster holds it while it runs.

The first process of the cluster inherits the lock, so that it is released when the cluster ends for any reason.
"""

from __future__ import annotations

import fcntl
from pathlib import Path
from typing import IO

from practicum_cluster.api import wait_until

_ENDING_S = 5.0
"""Time to wait for a cluster that is ending because its owner was killed."""


class Place:
    """The lock of the machine's bare cluster.

    Args:
        path: The lock file. It contains a sentence about the holder.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: IO[str] | None = None

    def take(self, sentence: str, timeout_s: float = _ENDING_S) -> None:
        """Take the lock; a no-op if we hold it already.

        Args:
            sentence: Message for others who want the lock: who holds it, and what to do.
            timeout_s: How long to wait for the lock.

        Raises:
            RuntimeError: Another process holds it; the message is its sentence.
        """
        if self._file is not None:
            return
        self._path.parent.mkdir(parents=True, exist_ok=True)
        file = self._path.open("a+")
        try:
            wait_until(lambda: _is_locked(file), "the place", timeout_s)
        except TimeoutError:
            file.close()
            raise RuntimeError(self._path.read_text()) from None
        file.truncate(0)
        file.write(sentence)
        file.flush()
        self._file = file

    def find_other(self) -> str | None:
        """Return the sentence of another holder; ``None`` if the lock is free or ours."""
        if self._file is not None or not self._path.exists():
            return None
        with self._path.open("a+") as file:
            return None if _is_locked(file) else self._path.read_text()

    def get_inherited(self) -> tuple[int, ...]:
        """Return the descriptors that a process must inherit to hold the lock."""
        return () if self._file is None else (self._file.fileno(),)

    def release(self) -> None:
        """Release the lock in this process; a process that inherited it still holds it."""
        if self._file is not None:
            self._file.close()
            self._file = None


def _is_locked(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
