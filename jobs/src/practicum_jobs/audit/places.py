"""The form in which a stream of rows is kept between its two readings: a JSON line for each of its places.

A row's line is a record of the chat or preference format, which every reader of the course takes: what the clean copy
holds. A defect's line is an array. So the second reading decodes no row but those that it has to speak of.
"""

from __future__ import annotations

import json
from dataclasses import astuple
from pathlib import Path

from practicum_core.rows import Row
from practicum_jobs.datasets.readers import Defect, Origin, Raw, read_piece
from practicum_jobs.datasets.row_records import build_record, write_line

_DEFECT_MARK = b"["


def write_place(place: Row | Defect) -> bytes:
    """Return the line of a place."""
    if isinstance(place, Row):
        return write_line(build_record(place))
    file, *rest = astuple(place)
    return write_line([str(file), *rest])


def is_defect(line: bytes) -> bool:
    """Whether no row could be read from a place."""
    return line.startswith(_DEFECT_MARK)


def read_defect(line: bytes) -> Defect:
    """Return the defect of a line for which :func:`is_defect` holds.

    >>> defect = Defect(Path("a.jsonl"), 7, "broken_json", "no comma")
    >>> read_defect(write_place(defect)) == defect
    True
    """
    file, number, kind, detail = json.loads(line)
    return Defect(Path(file), number, kind, detail)


def read_row(line: bytes) -> Row:
    """Return the row of any other line."""
    row = read_piece(build_piece(line, 0))
    if isinstance(row, Defect):
        raise TypeError(f"not a line of a row: {row}")
    return row


def read_id(line: bytes) -> str:
    """Return the id of a row's line, which stands first in it, without decoding the rest.

    >>> read_id(write_place(Row(id='a"b', messages=[{"role": "user", "content": "?"}], answer="!")))
    'a"b'
    """
    return str(_DECODER.raw_decode(line.decode(), len(_ID_MARK))[0])


def build_piece(line: bytes, number: int) -> Raw:
    """Return a row's line as a place of a data set, its format to be told by its own columns."""
    return Raw(_COPY, number, line)


_DECODER = json.JSONDecoder()
_ID_MARK = '{"id":'
_COPY = Origin(Path("clean.jsonl"), "clean.jsonl", "auto")
