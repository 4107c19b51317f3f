"""CSV and TSV files cut into records: a header, and one record a row, whose texts may hold line ends in quotes."""

from __future__ import annotations

import codecs
import csv
from collections.abc import Iterator, Sequence
from io import BufferedReader
from pathlib import Path

from practicum_core.data_formats import get_suffix
from practicum_core.errors import DataError
from practicum_jobs.datasets.columns import Record, RowFault
from practicum_jobs.datasets.containers import HEAD_BYTES
from practicum_jobs.datasets.json_stream import iter_lines
from practicum_jobs.datasets.json_text import GBK_HINT, is_gbk

_DELIMITERS = ",;\t"


def cut_delimited(path: Path, handle: BufferedReader, max_row_bytes: int) -> Iterator[tuple[int, Record | RowFault]]:
    """Yield the records of a file with the numbers of their first lines, and faults.

    Raises:
        DataError: The header is missing, or names a column twice.
    """
    csv.field_size_limit(max_row_bytes)
    lines = _Lines(handle, max_row_bytes)
    reader = csv.reader(lines, delimiter=_find_delimiter(path, handle.peek(HEAD_BYTES)), strict=True)
    header: list[str] | None = None
    while True:
        number = lines.number + 1
        try:
            values = next(reader)
        except StopIteration:
            break
        except csv.Error as error:
            where = f" (lines {number} to {lines.number})" if lines.number > number else ""
            fault = RowFault("broken_csv", f"not a row of the table: {error}{where}")
            yield number, lines.take_fault() or fault
            continue
        if (long := lines.take_fault()) is not None:
            yield number, long
        elif header is None and values:
            header = _check_header(path, values)
        elif values:
            yield number, _build_record(header or [], values)
    if (long := lines.take_fault()) is not None:
        yield lines.number, long


class _Lines:
    """Lines of a file as text; a byte that is not UTF-8 stays as a lone surrogate."""

    def __init__(self, handle: BufferedReader, max_row_bytes: int) -> None:
        self._lines = iter_lines(handle, max_row_bytes, keep_blank=True)
        self._fault: RowFault | None = None
        self.number = 0

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        self.number, line = next(self._lines)
        if isinstance(line, RowFault):
            self._fault = line
            return "\n"
        return line.decode("utf-8", "surrogateescape")

    def take_fault(self) -> RowFault | None:
        """Return the fault of a line that was too long to hold, once."""
        fault, self._fault = self._fault, None
        return fault


def _find_delimiter(path: Path, head: bytes) -> str:
    """Return what separates columns: tab by name, else what the header has most of."""
    if get_suffix(path.name) == ".tsv":
        return "\t"
    header = head.removeprefix(codecs.BOM_UTF8).partition(b"\n")[0].decode("utf-8", "replace")
    return max(_DELIMITERS, key=header.count)


def _check_header(path: Path, names: Sequence[str]) -> list[str]:
    names = [name.strip() for name in names]
    if not all(map(_is_utf8, names)):
        raise DataError(f"{path}: the header is not UTF-8", "tell the encoding, such as --encoding gbk")
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice or not any(names):
        problem = (
            f"the header names {', '.join(twice)} twice" if any(twice) else "a column without a name in the header"
        )
        raise DataError(f"{path}: {problem}", "give each column a name of its own in the first line")
    return names


def _build_record(header: Sequence[str], values: Sequence[str]) -> Record | RowFault:
    if len(values) != len(header):
        return RowFault("broken_csv", f"{len(values)} values, the header names {len(header)} columns")
    bad = next((name for name, value in zip(header, values, strict=True) if not _is_utf8(value)), None)
    if bad is not None:
        raw = "".join(values).encode("utf-8", "surrogateescape")
        return RowFault("invalid_utf8", f"column '{bad[:40]}' is not UTF-8{GBK_HINT if is_gbk(raw) else ''}")
    return dict(zip(header, values, strict=True))


def _is_utf8(text: str) -> bool:
    return text.isascii() or not any("\udc80" <= mark <= "\udcff" for mark in text)
