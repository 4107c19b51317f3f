"""Records of Parquet and Arrow files, batch by batch.

Read by pyarrow alone. Memory is bounded by one row group's page or one record batch.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from practicum_core.errors import DataError
from practicum_jobs.datasets.columns import RowFault

BATCH_ROWS = 1_000
_ARROW_FILE = b"ARROW1"


def iter_parquet(path: Path, max_row_bytes: int) -> Iterator[tuple[int, dict[str, Any] | RowFault]]:
    """Yield the records of a Parquet file with their numbers, from 1.

    Raises:
        DataError: Not a Parquet file.
    """
    import pyarrow as pa  # noqa: PLC0415 - 0.2 s, for columnar files only
    import pyarrow.parquet as pq  # noqa: PLC0415 - as above

    try:
        with pq.ParquetFile(path, memory_map=True, pre_buffer=False) as file:
            batches = file.iter_batches(batch_size=BATCH_ROWS, use_threads=False)
            yield from _iter_records(batches, max_row_bytes)
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{path}: not a readable Parquet file ({_first_line(error)})", "write it again") from error


def iter_arrow(path: Path, max_row_bytes: int) -> Iterator[tuple[int, dict[str, Any] | RowFault]]:
    """Yield the records of an Arrow stream (``save_to_disk`` of Hugging Face ``datasets``) or an Arrow file (Feather).

    Raises:
        DataError: Neither.
    """
    import pyarrow as pa  # noqa: PLC0415 - as above

    try:
        with pa.memory_map(str(path)) as source:
            is_file = source.read(len(_ARROW_FILE)) == _ARROW_FILE
            source.seek(0)
            if is_file:
                reader = pa.ipc.open_file(source)
                batches = (reader.get_batch(number) for number in range(reader.num_record_batches))
                yield from _iter_records(_check_batches(_cut_batches(batches)), max_row_bytes)
            else:
                with pa.ipc.open_stream(source) as stream:
                    yield from _iter_records(_check_batches(_cut_batches(stream)), max_row_bytes)
    except (pa.ArrowException, OSError) as error:
        raise DataError(
            f"{path}: not a readable Arrow stream or file ({_first_line(error)})",
            "save the data set again with save_to_disk",
        ) from error


def _cut_batches(batches: Any) -> Iterator[Any]:  # noqa: ANN401 - pyarrow publishes no types
    for batch in batches:
        for start in range(0, batch.num_rows, BATCH_ROWS):
            yield batch.slice(start, BATCH_ROWS)


def _check_batches(batches: Any) -> Iterator[Any]:  # noqa: ANN401 - as above
    """Check that offsets lie in their buffers: pyarrow takes those of a damaged file as they are, and reads elsewhere.

    A text that is not UTF-8 passes; it is a fault of its row.
    """
    import pyarrow as pa  # noqa: PLC0415 - as above

    for batch in batches:
        try:
            batch.validate(full=True)
        except pa.ArrowInvalid:
            _check_rows(batch)
        yield batch


def _check_rows(batch: Any) -> None:  # noqa: ANN401 - as above
    import pyarrow as pa  # noqa: PLC0415 - as above

    batch.validate()
    for index in range(batch.num_rows):
        try:
            batch.slice(index, 1).validate(full=True)
        except pa.ArrowInvalid as error:
            if "UTF8" not in str(error):
                raise


def _iter_records(batches: Any, max_row_bytes: int) -> Iterator[tuple[int, dict[str, Any] | RowFault]]:  # noqa: ANN401
    number = 0
    for batch in batches:
        # The size of the whole batch first: rows are measured one by one only where one of them can be too long.
        is_large = batch.get_total_buffer_size() > max_row_bytes
        for record in _decode_batch(batch):
            number += 1
            if isinstance(record, RowFault):
                yield number, record
                continue
            size = measure(record) if is_large else 0
            if size > max_row_bytes:
                detail = f"{size:,} bytes, more than the {max_row_bytes:,} that a row may have"
                yield number, RowFault("row_too_long", detail)
            else:
                yield number, record


def _decode_batch(batch: Any) -> Iterator[dict[str, Any] | RowFault]:  # noqa: ANN401 - as above
    try:
        yield from batch.to_pylist()
    except UnicodeDecodeError:
        for index in range(batch.num_rows):
            try:
                yield batch.slice(index, 1).to_pylist()[0]
            except UnicodeDecodeError as error:
                yield RowFault("invalid_utf8", f"a text is not UTF-8 ({error.reason})")


def measure(value: object) -> int:
    """Return the bytes of the texts in a value; anything else counts as eight."""
    if isinstance(value, str):
        return len(value) if value.isascii() else len(value.encode())
    if isinstance(value, dict):
        return sum(measure(part) for part in value.values())
    if isinstance(value, list):
        return sum(measure(part) for part in value)
    return 8


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]
