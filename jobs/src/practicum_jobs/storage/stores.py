"""Copies of files from a store that fsspec reads (S3, the Hugging Face hub's data sets), kept in the cache.

Used for models and for data. Files are copied and never executed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from practicum_core.errors import PlatformError, PracticumError, Reason
from practicum_core.layout import resolve_inside
from practicum_jobs.storage.onceonly import ensure_folder


@dataclass(frozen=True)
class Wanted:
    """Which files of a store are copied, and how their absence is told.

    Attributes:
        is_wanted: Whether a file is copied, asked with its path below the URI.
        refuse: Builds the error of a place without such files, or without a client that reads it: detail and fix.
        nothing: What a person reads where no such file lies there: what is missing, and what to do.
        max_depth: Levels of folders that are looked into; all of them without it.
    """

    is_wanted: Callable[[str], bool]
    refuse: Callable[[str, str], PracticumError]
    nothing: tuple[str, str]
    max_depth: int | None = None


def list_store(uri: str, wanted: Wanted) -> list[str]:
    """List the wanted files of a URI by their paths below it; nothing is copied.

    Raises:
        PracticumError: As ``wanted.refuse`` builds it: the store's client is missing, or nothing lies there.
        PlatformError: The store did not answer.
    """
    return [name for name, _ in _find_entries(uri, wanted)[1]]


def copy_from_store(uri: str, parent: Path, wanted: Wanted) -> tuple[Path, str]:
    """Copy the wanted files of a URI to a folder below ``parent``; return that folder and a key of the listing.

    The key covers names, sizes and the store's own checksums, so that files that changed are copied again.

    Raises:
        PracticumError: As ``wanted.refuse`` builds it: the store's client is missing, or nothing lies there.
        PlatformError: The store did not answer.
    """
    filesystem, entries = _find_entries(uri, wanted)
    listing = [[name, entry["size"], _get_version(entry)] for name, entry in entries]
    key = hashlib.sha256(json.dumps([uri, listing]).encode()).hexdigest()[:16]

    def copy(folder: Path) -> None:
        for name, entry in entries:
            target = resolve_inside(folder, name)
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                filesystem.get_file(entry["name"], str(target))
            except Exception as error:
                raise _explain_store_error(uri, error) from error

    folder = parent / f"{uri.partition(':')[0]}-{key}"
    return ensure_folder(folder, copy, needed_bytes=sum(entry["size"] or 0 for _, entry in entries)), key


def _find_entries(uri: str, wanted: Wanted) -> tuple[Any, list[tuple[str, dict[str, Any]]]]:
    import fsspec  # noqa: PLC0415 - for stores only

    try:
        filesystem, root = fsspec.core.url_to_fs(uri)
        entries = _list_wanted(filesystem, root, wanted)
    except ImportError as error:
        raise wanted.refuse(
            f"{uri}: the package that reads this store is not installed ({error})",
            "set up the environment again, whose lock has it, or copy the files to this machine and give file:///FOLDER",
        ) from error
    except FileNotFoundError:
        entries = []
    except Exception as error:
        raise _explain_store_error(uri, error) from error
    if not entries:
        what, fix = wanted.nothing
        raise wanted.refuse(f"{uri}: {what}", fix)
    return filesystem, entries


def describe_error(error: Exception) -> str:
    """Return the kind and the first line of an error.

    >>> describe_error(OSError("no route" + chr(10) + "details"))
    'OSError: no route'
    """
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__


def _list_wanted(filesystem: Any, root: str, wanted: Wanted) -> list[tuple[str, dict[str, Any]]]:  # noqa: ANN401 - fsspec publishes no types
    found: dict[str, dict[str, Any]] = filesystem.find(root, maxdepth=wanted.max_depth, detail=True)
    if not found and filesystem.exists(root):
        found = {root: filesystem.info(root)}
    entries = [(_get_relative(entry["name"], root), entry) for entry in found.values() if entry["type"] == "file"]
    return sorted((pair for pair in entries if wanted.is_wanted(pair[0])), key=lambda pair: pair[0])


def _get_relative(name: str, root: str) -> str:
    path = PurePosixPath(name.strip("/"))
    top = PurePosixPath(root.strip("/"))
    return path.name if path == top else str(path.relative_to(top))


def _get_version(entry: dict[str, Any]) -> str:
    return next((str(entry[name]) for name in ("ETag", "blob_id", "sha256", "LastModified") if entry.get(name)), "")


def _explain_store_error(uri: str, error: Exception) -> PracticumError:
    return PlatformError(
        Reason.UPSTREAM_UNAVAILABLE,
        f"{uri}: could not be read ({describe_error(error)})",
        "check name, network and credentials (HF_ENDPOINT, HF_TOKEN, AWS_ACCESS_KEY_ID, AWS_ENDPOINT_URL),"
        " or copy the files to this machine and give file:///FOLDER",
    )
