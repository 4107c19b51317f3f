"""Files of JSON lines that a step continues after it was killed, up to a size."""

from __future__ import annotations

import contextlib
import logging
import os
import time
from pathlib import Path
from typing import BinaryIO

_RETRY_S = 1.0
_BLOCK_BYTES = 4 << 20
"""More than most lines have: so much is read at once, from the end, until a whole line is found."""


class LineFile:
    """A file of lines. One that is there is continued, up to a size, which ends it.

    Each line goes to the system at once, so that a process that is killed leaves whole lines. A line that the disk does
    not take is lost, and so are those of the next second; then it is tried again. Not for several threads at once.

    Args:
        path: The file; its folder is made.
        max_bytes: Its size at most; what comes after is not written.
        what: What comes after its end, for the log.
        log: Where it says why lines are missing.

    Raises:
        OSError: It cannot be opened.
    """

    def __init__(self, path: Path, max_bytes: int, what: str, log: logging.Logger) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.max_bytes = max_bytes
        self._path = path
        self._what = what
        self._log = log
        self._file: BinaryIO | None = None
        self._size_bytes = 0
        self._is_ended = False
        self._num_lost = 0
        self._next_try_s = 0.0
        self._open()

    def write(self, line: bytes) -> bool:
        """Append a line, and return whether it was written; the log says once why lines are missing."""
        if self._file is None and not self._is_back():
            self._num_lost += 1
            return False
        if self._size_bytes + len(line) + 1 > self.max_bytes:
            self._log.warning(
                "%s ends here, %s are only counted: it has %d MiB", self._path, self._what, self.max_bytes >> 20
            )
            self.close()
            return False
        return self._append(line)

    def _append(self, line: bytes) -> bool:
        assert self._file is not None  # noqa: S101 - the caller looked
        try:
            self._file.write(line + b"\n")
            self._file.flush()
        except OSError as error:
            # A full disk must not take with it what the step is for.
            if not self._num_lost:
                self._log.warning("%s: lines are lost for now: %s", self._path, error)
            self._num_lost += 1
            self._let_go()
            self._next_try_s = time.monotonic() + _RETRY_S
            return False
        self._size_bytes += len(line) + 1
        if self._num_lost:
            self._log.warning("%s goes on; %d lines before are missing", self._path, self._num_lost)
            self._num_lost = 0
        return True

    def _is_back(self) -> bool:
        """Open the file again where it is time to try; return whether it is open."""
        if self._is_ended or time.monotonic() < self._next_try_s:
            return False
        self._next_try_s = time.monotonic() + _RETRY_S
        with contextlib.suppress(OSError):
            self._open()
        return self._file is not None

    def _open(self) -> None:
        _drop_cut_line(self._path, self._log)
        self._file = self._path.open("ab")
        self._size_bytes = self._file.tell()

    def close(self) -> None:
        """Close the file for good."""
        self._is_ended = True
        self._let_go()

    def _let_go(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            # What a full disk did not take would be tried again here.
            with contextlib.suppress(OSError):
                file.close()


def _drop_cut_line(path: Path, log: logging.Logger) -> None:
    """Take away what follows the last whole line, if the file is there.

    A write that was cut off by the end of its process or by a full disk would spoil the next line too, and readers that
    want each line whole would refuse the file.

    Raises:
        OSError: The file cannot be changed.
    """
    # Not of a device or a pipe, which have no end.
    if not path.is_file():
        return
    with path.open("rb+") as file:
        size_bytes = whole_bytes = file.seek(0, os.SEEK_END)
        end = -1
        while whole_bytes and end < 0:
            start_bytes = max(whole_bytes - _BLOCK_BYTES, 0)
            file.seek(start_bytes)
            end = file.read(whole_bytes - start_bytes).rfind(b"\n")
            whole_bytes = start_bytes + end + 1
        if whole_bytes < size_bytes:
            file.truncate(whole_bytes)
            log.warning("%s ended within a line; its last %d bytes are dropped", path, size_bytes - whole_bytes)
