"""The container's log: shows what a stage appends to the log of its step."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

_CHUNK_BYTES = 1 << 16
_RAY_HEAD = "KUBERAY_GEN_RAY_START_CMD"
"""KubeRay sets it in every container of Ray."""


def open_container_log(variables: Mapping[str, str], first: Path = Path("/proc/1/fd/1")) -> BinaryIO:
    """Return the stream that the container's log is made of: our own, but in a Ray head the first process's.

    There Ray keeps what its jobs print in files of its own, and `kubectl logs` would show nothing of the stage.
    """
    if _RAY_HEAD in variables:
        with contextlib.suppress(OSError):
            return first.open("ab")
    return sys.stdout.buffer


class LogTail:
    """Copies what is appended to a log to another stream, so that the pod's own log shows it."""

    def __init__(self, path: Path, out: BinaryIO) -> None:
        self._path = path
        self._out = out
        self._at = path.stat().st_size if path.exists() else 0

    def copy(self) -> None:
        """Copy what came since the last call."""
        try:
            with self._path.open("rb") as log:
                log.seek(self._at)
                while chunk := log.read(_CHUNK_BYTES):
                    self._at += len(chunk)
                    self._out.write(chunk)
        except FileNotFoundError:
            return
        self._out.flush()
