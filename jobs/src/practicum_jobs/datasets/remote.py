"""Data files from elsewhere: the Hugging Face hub's data sets, or a store that fsspec reads.

Data files are copied, nothing is executed: loading scripts of data sets are not run.
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from practicum_core.data_formats import SUFFIXES, get_suffix
from practicum_core.errors import DataError, Reason
from practicum_jobs.storage.stores import Wanted, copy_from_store, list_store


def fetch_files(uri: str, cache_dir: Path) -> tuple[Path, str]:
    """Copy the data files of a URI to the cache; return their folder and a key of the listing.

    Raises:
        DataError: The store's package is missing, or nothing lies there.
        PlatformError: The store did not answer.
    """
    return copy_from_store(uri, cache_dir / "datasets", _WANTED)


def list_files(uri: str) -> list[str]:
    """List the data files of a URI by their paths below it; nothing is copied.

    Raises:
        DataError: The store's package is missing, or nothing lies there.
        PlatformError: The store did not answer.
    """
    return list_store(uri, _WANTED)


def _is_data(name: str) -> bool:
    parts = PurePosixPath(name).parts
    return get_suffix(parts[-1]) in SUFFIXES and not any(part.startswith(".") for part in parts)


_WANTED = Wanted(
    _is_data,
    lambda detail, fix: DataError(detail, fix, Reason.DATA_MISSING),
    ("no data files lie there", f"kinds: {', '.join(SUFFIXES)}"),
)
