"""Folders that appear under their name complete or not at all, after a crash too."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

from practicum_core.atomic import explain_os_errors


def replace_folder(folder: Path, fill: Callable[[Path], None]) -> None:
    """Fill a partial folder, flush it to the disk, and let it take the name ``folder``."""
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    with explain_os_errors(folder):
        partial.mkdir(parents=True)
        fill(partial)
        flush_folder(partial)
        shutil.rmtree(folder, ignore_errors=True)
        partial.rename(folder)


def flush_folder(folder: Path) -> None:
    """Flush every file of a folder to the disk, so that after a later rename the folder is complete."""
    for file in folder.rglob("*"):
        descriptor = os.open(file, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
