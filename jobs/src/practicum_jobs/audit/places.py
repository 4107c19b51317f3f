"""The form in which a stream of rows is kept between its two readings: a JSON line for each of its places.

A row's line is a record of the chat or preference format, which every reader of the course takes: what the clean copy
holds. A defect's line is an array. So the second reading decodes no row but those that it has to speak of.
"""

from __future__ import annotations

import json
from dataclasses import astuple
from pathlib import Path
from typing import Any

from practicum_core.rows import Message, Row
from practicum_jobs.datasets.readers import Defect, Origin, Raw, read_piece

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

    >>> read_id(write_place(Row(id='a"b', messages=[Message(role="user", content="?")], answer="!")))
    'a"b'
    """
    return str(_DECODER.raw_decode(line.decode(), len(_ID_MARK))[0])


def build_piece(line: bytes, number: int) -> Raw:
    """Return a row's line as a place of a data set, its format to be told by its own columns."""
    return Raw(_COPY, number, line)


def build_record(row: Row) -> dict[str, Any]:
    """Return the row as a record of the chat or preference format, which every reader of the course takes."""
    turns = [_build_turn(message) for message in row.messages]
    known = {"task": row.task, "language": row.language, "group": row.group}
    extra: dict[str, Any] = {name: value for name, value in known.items() if value}
    if row.label is not None:
        extra["label"] = row.label
    if row.tools:
        extra["tools"] = row.tools
    if row.rejected is not None:
        chosen = [_build_turn(row.answer_turn)] if row.answer_turn else row.answer
        rejected = [_build_turn(row.rejected_turn)] if row.rejected_turn else row.rejected
        return {"id": row.id, "prompt": turns, "chosen": chosen, "rejected": rejected, **extra}
    turns.append(_build_turn(row.answer_turn) if row.answer_turn else {"role": "assistant", "content": row.answer})
    return {"id": row.id, "messages": turns, **extra}


def _build_turn(message: Message) -> dict[str, Any]:
    if message.is_plain:
        return {"role": message.role, "content": message.content}
    turn = message.model_dump(exclude={"tool_calls"})
    if message.tool_calls:
        turn["tool_calls"] = [
            {"type": "function", "function": {"name": call.name, "arguments": call.arguments}}
            | ({"id": call.id} if call.id else {})
            for call in message.tool_calls
        ]
    return turn


def write_line(value: dict[str, Any] | list[Any]) -> bytes:
    """Return a value as a line of JSON."""
    return (_ENCODER.encode(value) + "\n").encode("utf-8", "replace")


_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))
"""Made once: ``json.dumps`` makes one for every call with other options than its own."""
_DECODER = json.JSONDecoder()
_ID_MARK = '{"id":'
_COPY = Origin(Path("clean.jsonl"), "clean.jsonl", "auto")
