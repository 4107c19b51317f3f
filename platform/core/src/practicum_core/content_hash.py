"""The SHA-256 of a file or of a folder's files, which names what a run read or made."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path


def hash_path(path: Path) -> str:
    """Return the SHA-256 of a file, or of the sorted ``<hash>  <relative path>`` lines of a folder's files."""
    if path.is_file():
        with path.open("rb") as handle:
            return hashlib.file_digest(handle, "sha256").hexdigest()
    lines = [f"{hash_path(file)}  {file.relative_to(path)}\n" for file in iter_files(path)]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def iter_files(path: Path) -> Iterator[Path]:
    """Yield a file itself, or the files below a folder in order."""
    if path.is_file():
        yield path
    else:
        yield from sorted(file for file in path.rglob("*") if file.is_file())
