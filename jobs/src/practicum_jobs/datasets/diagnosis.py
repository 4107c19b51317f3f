"""Why no row of a data set could be read: the first defects, the columns that were seen, and the one hint that fits."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import NamedTuple

from practicum_core.data_formats import FORMATS
from practicum_jobs.datasets.columns import Record, RowFault
from practicum_jobs.datasets.json_text import decode_record
from practicum_jobs.datasets.readers import Defect, Piece, Raw, read_piece

SEEN_ROWS = 50
DEFECTS_SHOWN = 3
COLUMNS_SHOWN = 15


class Diagnosis(NamedTuple):
    """What to say where nothing could be read."""

    defects: list[Defect]
    columns: list[str]
    hint: str


def diagnose(pieces: Iterable[Piece]) -> Diagnosis:
    """Look at the first places of a data set from which no row could be read.

    Args:
        pieces: Of the data set; the first :data:`SEEN_ROWS` are looked at.
    """
    seen = list(islice(pieces, SEEN_ROWS))
    records = [record for piece in seen if (record := _read(piece)) is not None]
    columns = list(dict.fromkeys(str(name) for record in records for name in record))
    defects = [place for place in map(read_piece, seen) if isinstance(place, Defect)]
    return Diagnosis(defects[:DEFECTS_SHOWN], columns[:COLUMNS_SHOWN], _find_hint(seen, records, defects))


def _read(piece: Piece) -> Record | None:
    if not isinstance(piece, Raw):
        return None
    try:
        return decode_record(piece.record) if isinstance(piece.record, bytes) else piece.record
    except RowFault:
        return None


def _find_hint(seen: list[Piece], records: list[Record], defects: list[Defect]) -> str:
    if any("--encoding gbk" in defect.detail for defect in defects):
        return "tell the encoding: practicum audit FILE --encoding gbk"
    if any(_keeps_columns(record) for record in records):
        return "the file keeps columns, not rows; with pandas: frame.to_json(path, orient='records', lines=True)"
    if records:
        return _explain_columns(records, defects)
    raw = [piece.record for piece in seen if isinstance(piece, Raw) and isinstance(piece.record, bytes)]
    return _explain_text(raw[0].lstrip() if raw else b"{", defects)


def _explain_text(start: bytes, defects: list[Defect]) -> str:
    if start.startswith(b"{'"):
        return "this is how Python prints a dict, not JSON: write each row with json.dumps(row, ensure_ascii=False)"
    if not start.startswith((b"{", b"[")):
        return "this is no JSON: give objects, one a line; a table needs the ending .csv or .tsv"
    if defects and defects[0].kind == "row_too_long":
        return "allow longer rows: --set audit.max_row_bytes=N; or look whether line ends are missing"
    return "correct the first of these lines; most often the rest is damaged in the same way"


def _explain_columns(records: list[Record], defects: list[Defect]) -> str:
    if all(set(record) == {"text"} for record in records):
        return "plain text has no prompt and no answer: give both, such as instruction and output"
    if all(defect.kind == "missing_column" for defect in defects):
        known = "; ".join(f"{name}: {columns.partition(';')[0]}" for name, columns in FORMATS.items())
        return f"name the columns as one of these formats does: {known} (`practicum audit --help`)"
    return "correct the values that are named above; the formats: `practicum audit --help`"


def _keeps_columns(record: Record) -> bool:
    """Whether a record is a whole table: every column a list of values, or an object of values by row number."""
    values = [value for value in record.values() if value not in (None, "")]
    are_lists = all(
        isinstance(value, list) and not any(isinstance(part, dict | list) for part in value) for value in values
    )
    are_numbered = all(isinstance(value, dict) and "0" in value for value in values)
    return len(values) > 1 and (are_lists or are_numbered)
