"""The content-addressed store of splits: JSON lines files named by their SHA-256, which is checked when they are read.

Stages read rows from here through the ``data.lock.json`` of the run.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

from pydantic import ValidationError

from practicum_core.atomic import explain_os_errors, write_json_atomic
from practicum_core.errors import DataError, Reason, suggest_similar
from practicum_core.layout import RunLayout
from practicum_core.problems import list_problems
from practicum_core.rows import Row
from practicum_core.stages.snapshot import DataLock, SplitLock
from practicum_jobs.context import StageContext


def get_split_path(sha256: str, cache_dir: Path) -> Path:
    """Return where the rows of a split lie.

    >>> get_split_path("ab12", Path("cache")).as_posix()
    'cache/objects/ab/ab12.jsonl'
    """
    return cache_dir / "objects" / sha256[:2] / f"{sha256}.jsonl"


def write_split(rows: Iterable[Row], cache_dir: Path) -> SplitLock:
    """Write rows to the store, one JSON line each, and return their lock. The same rows make the same file.

    Raises:
        PlatformError: No space or no permission.
    """
    folder = cache_dir / "objects"
    digest, num_rows, size_bytes = hashlib.sha256(), 0, 0
    with explain_os_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=folder, prefix=".split.", suffix=".part")
        try:
            with os.fdopen(descriptor, "wb", buffering=1 << 20) as handle:
                for row in rows:
                    line = row.model_dump_json().encode() + b"\n"
                    digest.update(line)
                    handle.write(line)
                    num_rows += 1
                    size_bytes += len(line)
                handle.flush()
                os.fsync(handle.fileno())
            _take_name(Path(name), get_split_path(digest.hexdigest(), cache_dir))
        except BaseException:
            with contextlib.suppress(OSError):
                Path(name).unlink()
            raise
    return SplitLock(sha256=digest.hexdigest(), num_rows=num_rows, size_bytes=size_bytes)


def read_split(lock: SplitLock, cache_dir: Path) -> Iterator[Row]:
    """Yield the rows of a split after checking its hash.

    Raises:
        DataError: The file is gone, or its bytes are not those that were locked.
    """
    path = get_split_path(lock.sha256, cache_dir)
    try:
        handle = path.open("rb")
    except OSError as error:
        raise DataError(
            f"{path}: the locked rows cannot be read ({error.strerror})",
            "run the snapshot step again; it writes them to the cache",
            Reason.DATA_MISSING,
        ) from error
    with handle:
        found = hashlib.file_digest(handle, "sha256").hexdigest()
        if found != lock.sha256:
            raise DataError(
                f"{path}: the rows changed since they were locked (SHA-256 {found[:12]}.., not {lock.sha256[:12]}..)",
                "delete the file and run the snapshot step again",
            )
        handle.seek(0)
        for number, line in enumerate(handle, start=1):
            yield _read_row(path, number, line)


def write_data_lock(layout: RunLayout, lock: DataLock) -> None:
    """Write ``data.lock.json`` of a run, whole or not at all."""
    write_json_atomic(layout.data_lock, lock.model_dump(mode="json"))


def read_data_lock(layout: RunLayout) -> DataLock:
    """Read ``data.lock.json`` of a run.

    Raises:
        DataError: The file is missing or malformed.
    """
    path = layout.data_lock
    try:
        return DataLock.model_validate_json(path.read_bytes())
    except FileNotFoundError as error:
        raise DataError(f"{path}: no data was locked", "run the snapshot step first", Reason.DATA_MISSING) from error
    except ValidationError as error:
        raise DataError(
            f"{path}: {list_problems(error)[0]}", "run the snapshot step again", Reason.RUN_INCOMPLETE
        ) from error
    except OSError as error:
        raise DataError(f"{path}: {error}", "run the snapshot step again", Reason.RUN_INCOMPLETE) from error


def iter_locked(ctx: StageContext, split: str) -> Iterator[Row]:
    """Yield the rows of a split of the stage's run.

    Raises:
        DataError: No such split, or its rows are missing or changed.
    """
    lock = read_data_lock(ctx.run)
    if split not in lock.splits:
        raise DataError(
            f"{ctx.run.data_lock}: no split '{split}'{suggest_similar(split, lock.splits)}",
            f"splits of {lock.uri}: {', '.join(lock.splits)}",
            Reason.DATA_MISSING,
        )
    return read_split(lock.splits[split], ctx.cache_dir)


def load_split(ctx: StageContext, split: str, limit: int | None = None) -> list[Row]:
    """Return the rows of a split of the stage's run, the first ``limit`` of them if that is given.

    Raises:
        DataError: No such split, or its rows are missing or changed.
    """
    return list(islice(iter_locked(ctx, split), limit))


def _take_name(temporary: Path, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary.chmod(0o444)
    temporary.replace(path)
    descriptor = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _read_row(path: Path, number: int, line: bytes) -> Row:
    try:
        return Row.model_validate_json(line)
    except ValidationError as error:
        raise DataError(f"{path}:{number}: not a row of this version", "run the snapshot step again") from error
