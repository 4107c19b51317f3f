"""Atomic writes: write a temporary file, fsync it, rename it, fsync the folder.

A reader sees either the old file or the new one. Errors of the disk are raised as
:class:`~practicum_core.errors.PlatformError` with a fix.
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
"""Error numbers of a full disk and of an exceeded disk quota."""
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
"""Includes ENOENT: a folder cannot be created below /proc or in a working directory that was deleted."""


def write_bytes_atomic(path: Path, content: bytes) -> None:
    """Replace the content of ``path`` atomically.

    Raises:
        PlatformError: No space, no permission, or another error of the disk.
    """
    with open_atomic(path) as handle:
        handle.write(content)


@contextlib.contextmanager
def open_atomic(path: Path) -> Iterator[BinaryIO]:
    """Open a binary file that is renamed to ``path`` if the block ends without an exception.

    Raises:
        PlatformError: No space, no permission, or another error of the disk.
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
    """Write ``text`` as UTF-8 atomically. Lone surrogates, as in file names that are not UTF-8, are escaped."""
    write_bytes_atomic(path, text.encode(errors="backslashreplace"))


def write_json_atomic(path: Path, value: Any) -> None:  # noqa: ANN401 - any JSON value
    """Write ``value`` atomically as indented UTF-8 JSON with a final newline."""
    write_text_atomic(path, json.dumps(value, ensure_ascii=False, indent=2) + "\n")


def append_json_line(path: Path, value: Any) -> None:  # noqa: ANN401 - any JSON value
    """Append one JSON line in a single write, so that readers see complete lines only.

    Raises:
        PlatformError: No space, no permission, or another error of the disk.
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
    """Convert operating system errors that occur while ``path`` is written into errors with a reason and a fix.

    Args:
        path: The file or folder that is written.
        setting: The environment variable that sets the location; without it, an option of the command does.
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
    """Write ``line`` completely, or raise an error: a full disk accepts part of a line and reports no error.

    If the last line of the file has no newline, it is ended first; otherwise both lines would be unreadable.
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
