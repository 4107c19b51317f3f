"""Decides how a file comes to be whole: temporary file, fsync, rename, fsync of the folder.

A reader sees the old file or the new one, never a half of either. Faults of the disk become
:class:`~practicum_core.errors.PlatformError` with what to do about them.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from practicum_core.errors import PlatformError, Reason


def write_bytes_atomic(path: Path, content: bytes) -> None:
    """Replace ``path`` by ``content`` so that a cut-off never leaves a half-written file.

    Raises:
        PlatformError: No space, no permission, or another fault of the disk.
    """
    with open_atomic(path) as handle:
        handle.write(content)


@contextlib.contextmanager
def open_atomic(path: Path) -> Iterator[BinaryIO]:
    """Open a binary file that takes the name ``path`` only when the block ends without an exception.

    Raises:
        PlatformError: No space, no permission, or another fault of the disk.
    """
    with explain_os_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
        try:
            with os.fdopen(descriptor, "wb") as handle:
                yield handle
                handle.flush()
                os.fsync(handle.fileno())
            Path(name).chmod(0o644)
            Path(name).replace(path)
        except BaseException:
            with contextlib.suppress(OSError):
                Path(name).unlink()
            raise
        _sync_folder(path.parent)


def write_text_atomic(path: Path, text: str) -> None:
    """Write ``text`` as UTF-8, whole or not at all."""
    write_bytes_atomic(path, text.encode())


def write_json_atomic(path: Path, value: Any) -> None:  # noqa: ANN401 - any JSON value
    """Write ``value`` as indented UTF-8 JSON with a final newline, whole or not at all."""
    write_text_atomic(path, json.dumps(value, ensure_ascii=False, indent=2) + "\n")


def append_json_line(path: Path, value: Any) -> None:  # noqa: ANN401 - any JSON value
    """Append one JSON line in a single write, so that readers see whole lines only."""
    line = (json.dumps(value, ensure_ascii=False, separators=(",", ":")) + "\n").encode(errors="backslashreplace")
    with explain_os_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            os.write(descriptor, line)
        finally:
            os.close(descriptor)


@contextlib.contextmanager
def explain_os_errors(path: Path) -> Iterator[None]:
    """Turn faults of the disk under ``path`` into errors with a reason and a fix."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise PlatformError(
                Reason.DISK_FULL, f"{path}: no space left on the disk", "free some space, or choose another --out"
            ) from error
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST):
            raise PlatformError(
                Reason.PERMISSION_DENIED, f"{path}: cannot be written ({error.strerror})", "choose a folder you own"
            ) from error
        raise


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
