"""Decides how rows are read from files, whatever format and container they have: one internal row, errors with a place.

Streaming: memory is bounded by the longest row that is allowed, not by the file. What cannot be read as a row becomes
a :class:`Defect` and reading goes on; only a file that cannot be read at all raises.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from practicum_core.errors import DataError, Reason, suggest_similar
from practicum_core.rows import Row
from practicum_jobs.datasets.columnar import find_dataset_files, is_dataset_folder, iter_arrow, iter_parquet
from practicum_jobs.datasets.formats import DefectKind, Format, Record, RowFault, detect_format, read_record
from practicum_jobs.datasets.json_stream import decode_record, iter_elements, iter_lines

MAX_ROW_BYTES = 1_000_000
SUFFIXES = (".jsonl", ".ndjson", ".json", ".parquet", ".arrow")
_WIDE_BOMS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE, codecs.BOM_UTF32_BE)
_HEAD_BYTES = 1 << 16

Numbered = Iterator[tuple[int, Record | RowFault]]


@dataclass(frozen=True, slots=True)
class Defect:
    """A place of a file from which no row could be read; reading goes on behind it.

    ``line`` is the line of a text file, or the number of the row in a columnar one, from 1.
    """

    file: Path
    line: int
    kind: DefectKind
    detail: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.kind}: {self.detail}"


def iter_rows(
    source: Path, format_name: Format = "auto", *, label: str = "", max_row_bytes: int = MAX_ROW_BYTES
) -> Iterator[Row | Defect]:
    """Yield the rows of a file, or of a data set folder with one split, and a defect for what is no row.

    Args:
        source: JSON (an array, or one record a line), JSONL, Parquet or Arrow file, or a folder of ``save_to_disk``.
        format_name: ``auto`` takes the format of the first record that has a known one.
        label: Stands before the line in the ids of rows that name none; the file's name without it.
        max_row_bytes: A longer record is a defect and is not held in memory (JSON), or not passed on (columnar).

    Raises:
        DataError: The file is missing, unreadable, empty, or not of its kind.
    """
    for file in _find_files(source):
        yield from _iter_file(file, format_name, label or file.name, max_row_bytes)


def _find_files(source: Path) -> tuple[Path, ...]:
    if source.is_dir() and is_dataset_folder(source):
        splits = find_dataset_files(source)
        if len(splits) == 1:
            return next(iter(splits.values()))
        raise DataError(f"{source}: has the splits {', '.join(splits)}", "name the folder of one split")
    if source.is_dir():
        raise DataError(f"{source}: a folder, and not one of save_to_disk", "name a file")
    return (source,)


def _iter_file(path: Path, format_name: Format, label: str, max_row_bytes: int) -> Iterator[Row | Defect]:
    is_empty = True
    for number, record in _iter_records(path, max_row_bytes):
        is_empty = False
        try:
            if isinstance(record, RowFault):
                raise record
            if format_name == "auto":
                format_name = detect_format(record)
            yield read_record(record, format_name, f"{label}:{number}")
        except RowFault as fault:
            yield Defect(path, number, fault.kind, fault.detail)
    if is_empty:
        raise DataError(f"{path}: holds no rows", "give a file with at least one row")


def _iter_records(path: Path, max_row_bytes: int) -> Numbered:
    try:
        with path.open("rb") as handle:
            if path.suffix == ".parquet":
                yield from iter_parquet(path, max_row_bytes)
            elif path.suffix == ".arrow":
                yield from iter_arrow(path, max_row_bytes)
            elif path.suffix in SUFFIXES:
                yield from _decode(_cut(path, handle, max_row_bytes))
            else:
                hint = suggest_similar(path.suffix, SUFFIXES)
                raise DataError(f"{path}: unknown kind of file{hint}", f"known: {', '.join(SUFFIXES)}")
    except OSError as error:
        raise DataError(
            f"{path}: {error.strerror or error}", "check the path and its permissions", Reason.DATA_MISSING
        ) from error


def _cut(path: Path, handle: BinaryIO, max_row_bytes: int) -> Iterator[tuple[int, bytes | RowFault]]:
    head = handle.read(_HEAD_BYTES)
    handle.seek(0)
    if head.startswith(_WIDE_BOMS):
        raise DataError(f"{path}: UTF-16 or UTF-32", f"convert it: iconv -f UTF-16 -t UTF-8 {path.name}")
    is_array = path.suffix == ".json" and head.removeprefix(codecs.BOM_UTF8).lstrip().startswith(b"[")
    return iter_elements(handle, max_row_bytes) if is_array else iter_lines(handle, max_row_bytes)


def _decode(pieces: Iterable[tuple[int, bytes | RowFault]]) -> Numbered:
    for number, piece in pieces:
        if isinstance(piece, RowFault):
            yield number, piece
            continue
        try:
            yield number, decode_record(piece)
        except RowFault as fault:
            yield number, fault
