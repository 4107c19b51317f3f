"""Rows as records of files: the chat or preference format, which every reader of the course takes."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from practicum_core.atomic import write_bytes_atomic
from practicum_core.rows import Message, Row


def write_rows(path: Path, rows: Iterable[Row]) -> None:
    """Write rows to a file, one JSON line each, whole or not at all.

    Raises:
        PlatformError: No space or no permission.
    """
    write_bytes_atomic(path, b"".join(write_line(build_record(row)) for row in rows))


def build_record(row: Row) -> dict[str, Any]:
    """Return the row as a record of the chat or preference format, which every reader of the course takes."""
    turns = [_build_turn(message) for message in row.messages]
    known = {"task": row.task, "language": row.language, "group": row.group}
    extra: dict[str, Any] = {name: value for name, value in known.items() if value}
    if row.label is not None:
        extra["label"] = row.label
    if row.tools:
        extra["tools"] = row.tools
    if row.scorer is not None:
        extra["scorer"] = row.scorer.model_dump(mode="json")
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
