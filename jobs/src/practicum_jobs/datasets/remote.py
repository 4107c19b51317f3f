"""Decides how data files are fetched from elsewhere: the Hugging Face hub's data sets, or a store that fsspec reads.

Data files are copied, nothing is executed: loading scripts of data sets are not run.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path, PurePosixPath
from typing import Any

from practicum_core.errors import DataError, PlatformError, PracticumError, Reason
from practicum_core.layout import resolve_inside
from practicum_jobs.datasets.readers import SUFFIXES
from practicum_jobs.models.onceonly import ensure_folder


def fetch_files(uri: str, cache_dir: Path) -> tuple[Path, str]:
    """Copy the data files of a URI to the cache; return their folder and a key of the listing.

    The key covers names, sizes and the store's own checksums, so that a changed data set is fetched again.

    Raises:
        DataError: The store's package is missing, or nothing lies there.
        PlatformError: The store did not answer.
    """
    import fsspec  # noqa: PLC0415 - for stores only

    try:
        filesystem, root = fsspec.core.url_to_fs(uri)
        entries = _list_wanted(filesystem, root)
    except ImportError as error:
        raise DataError(
            f"{uri}: the package that reads this store is missing ({error})",
            "add s3fs to requirements/base.in and run `make locks`, or copy the files and give file:///",
            Reason.DATA_MISSING,
        ) from error
    except FileNotFoundError as error:
        raise _explain_missing(uri) from error
    except Exception as error:
        raise _explain_store_error(uri, error) from error
    if not entries:
        raise _explain_missing(uri)
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

    folder = cache_dir / "datasets" / f"{uri.partition(':')[0]}-{key}"
    return ensure_folder(folder, copy, needed_bytes=sum(entry["size"] or 0 for _, entry in entries)), key


def _list_wanted(filesystem: Any, root: str) -> list[tuple[str, dict[str, Any]]]:  # noqa: ANN401 - fsspec has no types
    found: dict[str, dict[str, Any]] = filesystem.find(root, detail=True)
    if not found and filesystem.exists(root):
        found = {root: filesystem.info(root)}
    entries = [entry for entry in found.values() if PurePosixPath(entry["name"]).suffix in SUFFIXES]
    return sorted((_get_relative(entry["name"], root), entry) for entry in entries)


def _get_relative(name: str, root: str) -> str:
    path = PurePosixPath(name.strip("/"))
    top = PurePosixPath(root.strip("/"))
    return path.name if path == top else str(path.relative_to(top))


def _get_version(entry: dict[str, Any]) -> str:
    return next((str(entry[name]) for name in ("ETag", "blob_id", "sha256", "LastModified") if entry.get(name)), "")


def _explain_missing(uri: str) -> DataError:
    return DataError(f"{uri}: no data files lie there", f"kinds: {', '.join(SUFFIXES)}", Reason.DATA_MISSING)


def _explain_store_error(uri: str, error: Exception) -> PracticumError:
    text = str(error).strip().partition("\n")[0]
    return PlatformError(
        Reason.UPSTREAM_UNAVAILABLE,
        f"{uri}: could not be read ({type(error).__name__}: {text})",
        "check name, network and credentials (HF_ENDPOINT, HF_TOKEN, AWS_ACCESS_KEY_ID, AWS_ENDPOINT_URL),"
        " or copy the files and give file:///",
    )
