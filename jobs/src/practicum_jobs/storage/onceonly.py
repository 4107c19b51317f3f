"""Cache folders that are built once: one builder at a time, and a folder that exists is whole.

The builder fills a partial folder beside the final one under an exclusive file lock; a rename makes it visible.
The next builder removes what a killed one left.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from practicum_core.atomic import explain_os_errors
from practicum_core.errors import PlatformError, Reason


def ensure_folder(folder: Path, build: Callable[[Path], None], *, needed_bytes: int = 0) -> Path:
    """Return ``folder``, calling ``build(partial_folder)`` first where it does not exist yet.

    Processes that ask at once wait for each other; exactly one builds. When ``build`` raises, nothing stays.

    Args:
        folder: Final folder; its existence means that it is whole.
        build: Fills the empty folder that it is given.
        needed_bytes: Space that must be free before building.

    Raises:
        PlatformError: No space, no permission.
    """
    if folder.is_dir():
        return folder
    with explain_os_errors(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        with hold_lock(folder.parent / f".{folder.name}.lock"):
            if not folder.is_dir():
                _build(folder, build, needed_bytes)
    return folder


@contextlib.contextmanager
def hold_lock(path: Path) -> Iterator[None]:
    """Hold an exclusive lock on ``path`` (``flock``): released when the block or the process ends."""
    with path.open("a") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _build(folder: Path, build: Callable[[Path], None], needed_bytes: int) -> None:
    partial = folder.parent / f".{folder.name}.partial"
    shutil.rmtree(partial, ignore_errors=True)
    free_bytes = shutil.disk_usage(folder.parent).free
    if free_bytes < needed_bytes:
        raise PlatformError(
            Reason.DISK_FULL,
            f"{folder.parent}: {free_bytes // 2**20} MiB free, {needed_bytes // 2**20} MiB needed",
            "free some space, or set PRACTICUM_CACHE to another disk",
        )
    partial.mkdir()
    try:
        build(partial)
        _settle(partial)
        partial.rename(folder)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise


def _settle(folder: Path) -> None:
    """Make every file readable by others and write it through to the disk, so that the rename tells the truth."""
    for file in sorted(folder.rglob("*")):
        if file.is_file():
            file.chmod(0o644)
            descriptor = os.open(file, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
