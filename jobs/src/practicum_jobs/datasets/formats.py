"""How one record of a known format becomes a row. :mod:`practicum_core.data_formats` lists the columns of each.

The format is told by the columns that have a value, row by row. Every format may carry ``id``, ``task``, ``language``,
``group``, ``tools``, ``scorer`` and a ``label`` (KTO). Files and lines are the readers' business.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from practicum_core.data_formats import Format
from practicum_core.rows import Message, Row
from practicum_jobs.datasets.columns import Columns, Record, RowFault, has_value, list_columns, name_type
from practicum_jobs.datasets.preference import Pair, read_pair
from practicum_jobs.datasets.turns import read_history, read_messages, read_scorer, read_tools

PROMPTS = ("instruction", "prompt", "question", "query", "problem", "input")
"""Columns of a prompt, in the order of preference."""
ANSWERS = ("output", "completion", "response", "answer", "solution")
_DIALOGUES = ("messages", "conversations")
_CONTEXTS = ("input", "context")
_SYSTEMS = ("system", "system_prompt")
_LABELS = ("label", "kto_tag")
_TAGS = ("task", "language", "group")
_COMMON = frozenset({"id", *_TAGS, *_DIALOGUES})
"""Columns of the rows that the course makes: those that have no others are read without looking for more."""
_SIDES = 2


class Reading(NamedTuple):
    """A row, and the columns of its record that it does not hold."""

    row: Row
    unread: tuple[str, ...]


class _Parts(NamedTuple):
    """What a format reads of a record: the prompt's turns, and the answer or the pair of answers."""

    messages: list[Message]
    answer: Message
    rejected: Message | None = None


def detect_format(record: Record) -> Format:
    """Say which format a record has by its columns; ``auto`` when it has none of them.

    >>> detect_format({"instruction": "Add.", "output": "3"}), detect_format({"text": "x"})
    ('alpaca', 'auto')
    >>> detect_format({"instruction": "Add.", "output": "3", "conversations": None})
    'alpaca'
    """
    for format_name, columns in _ANSWER_SIGNS:
        if any(record.get(column) for column in columns):
            return format_name
    # No answer: an empty text, or a prompt alone, says which format was meant.
    for format_name, columns in _SIGNS:
        if any(record.get(column) not in (None, []) for column in columns):
            return format_name
    return next((name for name, columns in _SIGNS if any(column in record for column in columns)), "auto")


def read_record(record: Record, format_name: Format, default_id: str) -> Reading:
    """Turn a record into a row.

    Args:
        record: Columns by name.
        format_name: ``auto`` takes the format that the record's columns tell.
        default_id: Id of a row that names none.

    Raises:
        RowFault: A column is missing or has the wrong type.
    """
    if format_name == "auto":
        format_name = detect_format(record)
        if format_name == "auto":
            raise _explain_unknown(record)
    columns = Columns(record)
    parts = READERS[format_name](columns)
    row = _build_row(columns, default_id, parts)
    return Reading(row, columns.list_unread())


def _explain_unknown(record: Record) -> RowFault:
    if set(record) == {"text"}:
        return RowFault("missing_column", "only a column 'text', no prompt and answer: plain text is not read")
    known = ("instruction", "output", *_DIALOGUES, "prompt", "completion", "chosen", "rejected")
    return RowFault("missing_column", f"no column of a known format, has {list_columns(record, known)}")


def _read_single(columns: Columns, default_prompt: str, default_answer: str) -> _Parts:
    """Read a prompt and an answer, each a text or a list of messages."""
    asked = columns.take_one(PROMPTS) or (default_prompt, columns.require(default_prompt))
    answered = columns.take_one(ANSWERS) or (default_answer, columns.require(default_answer))
    messages = _read_prompt(columns, *asked)
    column, answer = answered
    if isinstance(answer, list) and len(answer) == _SIDES and all(isinstance(side, str) for side in answer):
        better, worse = (Message(role="assistant", content=side) for side in answer)
        return _Parts(messages, better, worse)
    if isinstance(answer, list | dict):
        turns = read_messages(answer, column, columns)
        if turns[-1].role != "assistant":
            raise RowFault("wrong_type", f"column '{column}' must end with an assistant turn, not {turns[-1].role}")
        return _Parts([*messages, *turns[:-1]], turns[-1])
    if not isinstance(answer, str):
        raise RowFault("wrong_type", f"column '{column}' must be text, got {name_type(answer)}")
    return _Parts(messages, Message(role="assistant", content=answer))


def _read_alpaca(columns: Columns) -> _Parts:
    return _read_single(columns, "instruction", "output")


def _read_completion(columns: Columns) -> _Parts:
    asked = next((name for name in PROMPTS if name in columns.record), "prompt")
    return _read_single(columns, asked, "answer" if asked == "question" else "completion")


def _read_chat(columns: Columns) -> _Parts:
    column, value = columns.take_one(_DIALOGUES) or ("messages", columns.require("messages"))
    messages = _add_system(columns, read_messages(value, column, columns))
    if messages[-1].role == "assistant":
        if len(messages) == 1:
            raise RowFault("missing_column", f"column '{column}' has an answer and no prompt")
        return _Parts(messages[:-1], messages[-1])
    if columns.record.get("answer") is None:
        raise RowFault("missing_column", f"column '{column}' ends with a {messages[-1].role} turn: no answer")
    return _Parts(messages, Message(role="assistant", content=columns.take_text("answer")))


def _read_preference(columns: Columns) -> _Parts:
    pair = Pair(columns.require("chosen"), columns.require("rejected"))
    dialogue = columns.take_one(_DIALOGUES) if not any(has_value(columns.record, name) for name in PROMPTS) else None
    asked = dialogue or columns.take_one(PROMPTS)
    prompt = None if asked is None else _read_prompt(columns, *asked)
    text = asked[1] if asked is not None and isinstance(asked[1], str) else ""
    messages, chosen, rejected = read_pair(pair, prompt, text, columns)
    return _Parts(_add_system(columns, messages) if asked is None else messages, chosen, rejected)


READERS: Mapping[Format, Callable[[Columns], _Parts]] = {
    "alpaca": _read_alpaca,
    "chat": _read_chat,
    "completion": _read_completion,
    "preference": _read_preference,
}
_ANSWER_SIGNS: tuple[tuple[Format, tuple[str, ...]], ...] = (
    ("preference", ("chosen", "rejected")),
    ("chat", _DIALOGUES),
    ("alpaca", ("output",)),
    ("completion", ("completion", "response", "answer", "solution")),
)
"""Columns of answers, of which one with a value tells the format; the first that fits counts."""
_SIGNS: tuple[tuple[Format, tuple[str, ...]], ...] = (
    ("preference", ("chosen", "rejected")),
    ("chat", _DIALOGUES),
    ("alpaca", ("instruction", "output")),
    ("completion", ("prompt", "completion", "question", "query", "response", "problem", "solution")),
)
"""All columns that tell a format."""


def _read_prompt(columns: Columns, column: str, value: object) -> list[Message]:
    """Read the turns before the answer: system, history, and the prompt with what belongs to it."""
    if isinstance(value, dict) or (isinstance(value, list) and all(isinstance(turn, dict) for turn in value)):
        messages = read_messages(value, column, columns)
    elif isinstance(value, str):
        context = columns.take_one([name for name in _CONTEXTS if name != column and name in columns.record])
        if context is not None and not isinstance(context[1], str):
            raise RowFault("wrong_type", f"column '{context[0]}' must be text, got {name_type(context[1])}")
        given = context[1] if context else ""
        messages = [Message(role="user", content=f"{value}\n{given}" if given else value)]
    else:
        raise RowFault("wrong_type", f"column '{column}' must be text, got {name_type(value)}")
    if has_value(columns.record, "history"):
        messages = read_history(columns.take("history"), "history") + messages
    return _add_system(columns, messages)


def _add_system(columns: Columns, messages: list[Message]) -> list[Message]:
    """Put the text of a column for it before the turns, unless they start with that text."""
    if columns.record.keys() <= _COMMON:
        return messages
    for name in _SYSTEMS:
        if columns.record.get(name):
            text = columns.take_text(name)
            if messages and messages[0].role == "system" and messages[0].content == text:
                return messages
            return [Message(role="system", content=text), *messages]
    return messages


def _build_row(columns: Columns, default_id: str, parts: _Parts) -> Row:
    record = columns.record
    given = record.get("id")
    is_named = isinstance(given, str | int) and not isinstance(given, bool) and given != ""
    fields = {name: columns.take(name) for name in _TAGS if isinstance(record.get(name), str)}
    if parts.rejected is not None or record.keys() - _COMMON or not parts.answer.is_plain:
        fields |= _read_more(columns, parts)
    return Row(
        id=str(columns.take("id")) if is_named else default_id,
        messages=parts.messages,
        answer=parts.answer.content,
        rejected=None if parts.rejected is None else parts.rejected.content,
        **fields,
    )


def _read_more(columns: Columns, parts: _Parts) -> dict[str, Any]:
    """Return the fields that few rows have."""
    more: dict[str, Any] = {}
    if not parts.answer.is_plain:
        more["answer_turn"] = parts.answer
    if parts.rejected is not None and not parts.rejected.is_plain:
        more["rejected_turn"] = parts.rejected
    for name in _LABELS:
        if isinstance(columns.record.get(name), bool):
            more["label"] = columns.take(name)
            break
    if has_value(columns.record, "tools"):
        more["tools"] = read_tools(columns.take("tools"))
    if has_value(columns.record, "scorer"):
        more["scorer"] = read_scorer(columns.take("scorer"))
    return more
