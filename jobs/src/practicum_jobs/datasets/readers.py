"""Rows read from files, whatever format and container they have: one internal row, errors with a place.

Streaming: memory is bounded by the longest row that is allowed, not by the file. What cannot be read as a row becomes
a :class:`Defect` and reading goes on; only a file that cannot be read at all raises. Cutting a file into pieces and
reading a piece are two steps, so that the second, which is the work, may be done in other processes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from practicum_core.data_formats import Format
from practicum_core.errors import DataError, Reason
from practicum_core.rows import Row
from practicum_core.saved_datasets import find_dataset_files, is_dataset_folder
from practicum_jobs.datasets.columnar import iter_arrow, iter_parquet, measure
from practicum_jobs.datasets.columns import DefectKind, Record, RowFault
from practicum_jobs.datasets.containers import get_kind, open_text
from practicum_jobs.datasets.delimited import cut_delimited
from practicum_jobs.datasets.formats import read_record
from practicum_jobs.datasets.json_layout import cut_json
from practicum_jobs.datasets.json_text import decode_record

MAX_ROW_BYTES = 1_000_000

Numbered = Iterator[tuple[int, bytes | Record | RowFault]]


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """How files are read.

    Attributes:
        format_name: Of the records; ``auto`` tells it by each record's columns.
        max_row_bytes: A longer record is a defect and is not held in memory (text), or not passed on (columnar).
        encoding: Of text files; empty means UTF-8.
    """

    format_name: Format = "auto"
    max_row_bytes: int = MAX_ROW_BYTES
    encoding: str = ""


DEFAULT = ReadOptions()


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


class Place(NamedTuple):
    """What was read at a place of a data set, and the columns there that a row does not hold."""

    content: Row | Defect
    unread: tuple[str, ...] = ()


def iter_rows(source: Path, options: ReadOptions = DEFAULT, *, label: str = "") -> Iterator[Row | Defect]:
    """Yield the rows of a file and a defect for what is no row; takes and raises what :func:`iter_pieces` does."""
    return map(read_piece, iter_pieces(source, options, label=label))


def iter_pieces(source: Path, options: ReadOptions = DEFAULT, *, label: str = "") -> Iterator[Piece]:
    """Yield the places of a file, or of a data set folder with one split.

    Args:
        source: A file of :data:`practicum_core.data_formats.FILE_KINDS`, or a folder of ``save_to_disk``.
        options: How it is read.
        label: Of the :class:`Origin`; the file's name without it.

    Raises:
        DataError: The file is missing, unreadable, empty, or not of its kind.
    """
    for file in _find_files(source):
        yield from _iter_file(Origin(file, label or file.name, options.format_name), options)


def read_piece(piece: Piece) -> Row | Defect:
    """Decode and check a record."""
    return read_place(piece).content


def read_place(piece: Piece) -> Place:
    """Decode and check a record; name what of it the row does not hold."""
    if not isinstance(piece, Raw):
        return Place(piece)
    origin = piece.origin
    try:
        record = decode_record(piece.record) if isinstance(piece.record, bytes) else piece.record
        return Place(*read_record(record, origin.format_name, f"{origin.label}:{piece.number}"))
    except RowFault as fault:
        return Place(Defect(origin.file, piece.number, fault.kind, fault.detail))
    except RecursionError:
        return Place(Defect(origin.file, piece.number, "broken_json", "nested too deeply"))


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


def _iter_file(origin: Origin, options: ReadOptions) -> Iterator[Piece]:
    is_empty = True
    for number, record in _iter_records(origin.file, options):
        is_empty = False
        if isinstance(record, RowFault):
            yield Defect(origin.file, number, record.kind, record.detail)
        else:
            yield Raw(origin, number, record)
    if is_empty:
        raise DataError(f"{origin.file}: holds no rows", "give a file with at least one row")


def _iter_records(path: Path, options: ReadOptions) -> Numbered:
    try:
        kind = get_kind(path)
        if kind == "parquet":
            yield from iter_parquet(path, options.max_row_bytes)
        elif kind == "arrow":
            yield from iter_arrow(path, options.max_row_bytes)
        else:
            with open_text(path, options.encoding) as handle:
                cut = cut_json if kind == "json" else cut_delimited
                yield from cut(path, handle, options.max_row_bytes)
    except OSError as error:
        raise DataError(
            f"{path}: {error.strerror or error}", "check the path and its permissions", Reason.DATA_MISSING
        ) from error
