"""Whole files: written to a temporary file, fsync, rename, fsync of the folder.

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

FULL_DISK = (errno.ENOSPC, errno.EDQUOT)
"""Numbers of the errors that say that a disk, or a share of it, is full."""
_UNWRITABLE = (
    errno.EACCES,
    errno.EPERM,
    errno.EROFS,
    errno.ENOTDIR,
    errno.EEXIST,
    errno.EISDIR,
    errno.ENOENT,
    errno.ELOOP,
    errno.ENAMETOOLONG,
)
"""ENOENT too: a folder that cannot be made, below /proc or in a working folder that was deleted."""


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
    """Write ``text`` as UTF-8, whole or not at all; what is no text, such as half a file name, as an escape."""
    write_bytes_atomic(path, text.encode(errors="backslashreplace"))


def write_json_atomic(path: Path, value: Any) -> None:  # noqa: ANN401 - any JSON value
    """Write ``value`` as indented UTF-8 JSON with a final newline, whole or not at all."""
    write_text_atomic(path, json.dumps(value, ensure_ascii=False, indent=2) + "\n")


def append_json_line(path: Path, value: Any) -> None:  # noqa: ANN401 - any JSON value
    """Append one JSON line in a single write, so that readers see whole lines only.

    Raises:
        PlatformError: No space, no permission, or another fault of the disk.
    """
    line = (json.dumps(value, ensure_ascii=False, separators=(",", ":")) + "\n").encode(errors="backslashreplace")
    with explain_os_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            _write_whole(descriptor, line)
        finally:
            os.close(descriptor)


@contextlib.contextmanager
def explain_os_errors(path: Path, setting: str = "") -> Iterator[None]:
    """Turn faults of the disk under ``path`` into errors with a reason and a fix.

    Args:
        path: What is written.
        setting: Name of the variable that says where it lies; without it, an option of the command does.
    """
    try:
        yield
    except OSError as error:
        elsewhere = f"set {setting} to a folder" if setting else "choose another --out"
        if error.errno in FULL_DISK:
            raise PlatformError(
                Reason.DISK_FULL, f"{path}: no space left on the disk", f"free some space, or {elsewhere}"
            ) from error
        if error.errno in _UNWRITABLE:
            raise PlatformError(
                Reason.PERMISSION_DENIED,
                f"{path}: cannot be written ({error.strerror})",
                f"{elsewhere} that you own" if setting else "choose a folder you own",
            ) from error
        raise


def _write_whole(descriptor: int, line: bytes) -> None:
    """Write ``line``, or say that the disk is full: it takes the beginning of a line without an error.

    A line that was left without its end is ended first, or this one would be lost with it.
    """
    size = os.fstat(descriptor).st_size
    if size and os.pread(descriptor, 1, size - 1) != b"\n":
        line = b"\n" + line
    if os.write(descriptor, line) < len(line):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
