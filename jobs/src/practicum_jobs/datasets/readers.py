"""Decides how rows are read from files, whatever format and container they have: one internal row, errors with a place.

Streaming: memory is bounded by the longest row that is allowed, not by the file. What cannot be read as a row becomes
a :class:`Defect` and reading goes on; only a file that cannot be read at all raises. Cutting a file into pieces and
reading a piece are two steps, so that the second, which is the work, may be done in other processes.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO, NamedTuple

from practicum_core.errors import DataError, Reason, suggest_similar
from practicum_core.rows import Row
from practicum_jobs.datasets.columnar import find_dataset_files, is_dataset_folder, iter_arrow, iter_parquet, measure
from practicum_jobs.datasets.formats import DefectKind, Format, Record, RowFault, detect_format, read_record
from practicum_jobs.datasets.json_stream import decode_record, iter_elements, iter_lines

MAX_ROW_BYTES = 1_000_000
SUFFIXES = (".jsonl", ".ndjson", ".json", ".parquet", ".arrow")
_WIDE_BOMS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE, codecs.BOM_UTF32_BE)
_HEAD_BYTES = 1 << 16

Numbered = Iterator[tuple[int, bytes | Record | RowFault]]


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


@dataclass(frozen=True, slots=True)
class Origin:
    """What the pieces of one file share. ``label`` stands before the line in the ids of rows that name none."""

    file: Path
    label: str
    format_name: Format


class Raw(NamedTuple):
    """A record as it lies in its file: the bytes of JSON, or the columns of a columnar file.

    A tuple, because millions of them are pickled.
    """

    origin: Origin
    number: int
    record: bytes | Record


Piece = Raw | Row | Defect
"""A place of a data set, of which perhaps nothing but its borders is known yet; :func:`read_piece` reads it."""


def iter_rows(
    source: Path, format_name: Format = "auto", *, label: str = "", max_row_bytes: int = MAX_ROW_BYTES
) -> Iterator[Row | Defect]:
    """Yield the rows of a file and a defect for what is no row; takes and raises what :func:`iter_pieces` does."""
    return map(read_piece, iter_pieces(source, format_name, label=label, max_row_bytes=max_row_bytes))


def iter_pieces(
    source: Path, format_name: Format = "auto", *, label: str = "", max_row_bytes: int = MAX_ROW_BYTES
) -> Iterator[Piece]:
    """Yield the places of a file, or of a data set folder with one split.

    Args:
        source: JSON (an array, or one record a line), JSONL, Parquet or Arrow file, or a folder of ``save_to_disk``.
        format_name: ``auto`` takes the format of the first record that has a known one.
        label: Of the :class:`Origin`; the file's name without it.
        max_row_bytes: A longer record is a defect and is not held in memory (JSON), or not passed on (columnar).

    Raises:
        DataError: The file is missing, unreadable, empty, or not of its kind.
    """
    for file in _find_files(source):
        yield from _iter_file(Origin(file, label or file.name, format_name), max_row_bytes)


def read_piece(piece: Piece) -> Row | Defect:
    """Decode and check a record. Where the origin's format is ``auto``, the record's own columns tell it."""
    if not isinstance(piece, Raw):
        return piece
    origin = piece.origin
    try:
        record = decode_record(piece.record) if isinstance(piece.record, bytes) else piece.record
        format_name = detect_format(record) if origin.format_name == "auto" else origin.format_name
        return read_record(record, format_name, f"{origin.label}:{piece.number}")
    except RowFault as fault:
        return Defect(origin.file, piece.number, fault.kind, fault.detail)


def measure_piece(piece: Piece) -> int:
    """Return about how many bytes a piece takes: what batches are bounded by."""
    if isinstance(piece, Raw):
        return len(piece.record) if isinstance(piece.record, bytes) else measure(piece.record)
    return measure(piece.model_dump()) if isinstance(piece, Row) else len(piece.detail)


def _find_files(source: Path) -> tuple[Path, ...]:
    if source.is_dir() and is_dataset_folder(source):
        splits = find_dataset_files(source)
        if len(splits) == 1:
            return next(iter(splits.values()))
        raise DataError(f"{source}: has the splits {', '.join(splits)}", "name the folder of one split")
    if source.is_dir():
        raise DataError(f"{source}: a folder, and not one of save_to_disk", "name a file")
    return (source,)


def _iter_file(origin: Origin, max_row_bytes: int) -> Iterator[Piece]:
    is_empty = True
    for number, record in _iter_records(origin.file, max_row_bytes):
        is_empty = False
        if isinstance(record, RowFault):
            yield Defect(origin.file, number, record.kind, record.detail)
            continue
        if origin.format_name == "auto":
            origin = replace(origin, format_name=_detect(record))
        yield Raw(origin, number, record)
    if is_empty:
        raise DataError(f"{origin.file}: holds no rows", "give a file with at least one row")


def _detect(record: bytes | Record) -> Format:
    try:
        return detect_format(decode_record(record) if isinstance(record, bytes) else record)
    except RowFault:
        return "auto"


def _iter_records(path: Path, max_row_bytes: int) -> Numbered:
    try:
        with path.open("rb") as handle:
            if path.suffix == ".parquet":
                yield from iter_parquet(path, max_row_bytes)
            elif path.suffix == ".arrow":
                yield from iter_arrow(path, max_row_bytes)
            elif path.suffix in SUFFIXES:
                yield from _cut(path, handle, max_row_bytes)
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
