"""The folder of temporary files (``TMPDIR``): a short name for one with a long path, and its free space.

A Unix socket's path may have 107 characters. Ray, Python's fork server and vLLM put sockets below the temporary folder;
a long ``TMPDIR``, as batch systems set it, leaves them no room.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import tempfile
from pathlib import Path

from practicum_core.errors import PlatformError, Reason

MAX_FOLDER_BYTES = 24
"""What is left of the 107 by Ray: ``/practicum-xxxxxxxx/session_<date>_<time>_<micros>_<pid>/sockets/plasma_store``."""
SETTING = "TMPDIR"
_PLACES = ("/tmp", "/var/tmp", "/dev/shm")  # noqa: S108 - a link is made there, by an unguessable name
_PREFIX = "prac-"
_FIX = f"set {SETTING} to a folder with a short path and free space"
_MIB = 2**20


def make_short_link(folder: str | None) -> Path | None:
    """Make a link with a short path to a folder of temporary files; ``None`` where its own path is short enough.

    Files go where they would have gone: only the name of the folder changes. ``None`` too where no link can be made;
    what needs a socket then says so by :func:`require_temporary_folder`.
    """
    if not folder or len(os.fsencode(folder)) <= MAX_FOLDER_BYTES:
        return None
    for place in map(Path, _PLACES):
        # Nobody else can have made a link of this name, or can replace it: these folders are sticky.
        link = place / f"{_PREFIX}{secrets.token_hex(4)}"
        with contextlib.suppress(OSError):
            _remove_dangling(place)
            link.symlink_to(Path(folder).absolute(), target_is_directory=True)
            return link
    return None


def require_temporary_folder(min_free_bytes: int) -> Path:
    """Return the folder of temporary files, which has room for sockets and for so much data.

    Raises:
        PlatformError: Its path is too long, or its disk is full; both name ``TMPDIR``.
    """
    folder = Path(tempfile.gettempdir())
    if len(os.fsencode(folder)) > MAX_FOLDER_BYTES:
        raise PlatformError(
            Reason.PREFLIGHT_FAILED,
            f"{SETTING}: the path {folder} has {len(os.fsencode(folder))} bytes; "
            f"sockets need one of {MAX_FOLDER_BYTES} at most",
            _FIX,
        )
    free_bytes = shutil.disk_usage(folder).free
    if free_bytes < min_free_bytes:
        raise PlatformError(
            Reason.DISK_FULL,
            f"{SETTING}: {folder} has {free_bytes // _MIB} MiB left; {min_free_bytes // _MIB} MiB are needed",
            _FIX,
        )
    return folder


def _remove_dangling(place: Path) -> None:
    """Remove own links whose folder is gone: whoever was to remove them was killed."""
    for link in place.glob(f"{_PREFIX}????????"):
        with contextlib.suppress(OSError):
            if link.is_symlink() and not link.exists() and link.lstat().st_uid == os.getuid():
                link.unlink()
