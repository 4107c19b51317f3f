"""Decides who may run the machine's one bare cluster: whoever holds the lock, and the cluster holds it while it runs.

The cluster's first process inherits the lock, so that the place is free again however the cluster ends.
"""

from __future__ import annotations

import fcntl
from pathlib import Path
from typing import IO

from practicum_cluster.api import wait_until

_ENDING_S = 5.0
"""A cluster whose owner was killed a moment ago is about to end."""


class Place:
    """The place of one cluster.

    Args:
        path: The file whose lock it is. It says who holds it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: IO[str] | None = None

    def take(self, sentence: str, timeout_s: float = _ENDING_S) -> None:
        """Take the place, unless it is taken by us already.

        Args:
            sentence: What others are told who want it meanwhile: who has it, and what to do.
            timeout_s: How long to wait for it.

        Raises:
            RuntimeError: Somebody else has it; says their sentence.
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
        """Return the sentence of somebody else who has the place; ``None`` where it is ours or free."""
        if self._file is not None or not self._path.exists():
            return None
        with self._path.open("a+") as file:
            return None if _is_locked(file) else self._path.read_text()

    def get_inherited(self) -> tuple[int, ...]:
        """Return the descriptors that keep the place for a process that inherits them."""
        return () if self._file is None else (self._file.fileno(),)

    def release(self) -> None:
        """Leave the place; who inherited it keeps it."""
        if self._file is not None:
            self._file.close()
            self._file = None


def _is_locked(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
