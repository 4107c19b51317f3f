"""Decides how one record of a known format becomes a row: alpaca, chat messages and preference pairs.

- alpaca: ``instruction``, ``input`` (optional), ``output``; ``system`` is read where it is there.
- chat: ``messages`` (or ``conversations``) of ``role``/``content`` or ``from``/``value``; the last assistant turn is
  the answer. A column ``answer`` may hold it instead.
- preference: ``prompt``, ``chosen``, ``rejected``, each a text or a list of messages; without ``prompt``, what the two
  lists start with alike is the prompt.

Every format may carry ``id``, ``task``, ``language`` and ``group``. Refuses to know files and lines.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal, cast

from practicum_core.errors import ConfigError, suggest_similar
from practicum_core.rows import Message, Role, Row

Format = Literal["auto", "alpaca", "chat", "preference"]
DefectKind = Literal["broken_json", "invalid_utf8", "missing_column", "wrong_type", "row_too_long"]
Record = Mapping[str, Any]

_ROLES: Mapping[str, Role] = {
    "system": "system",
    "user": "user",
    "human": "user",
    "assistant": "assistant",
    "gpt": "assistant",
    "model": "assistant",
    "bot": "assistant",
    "tool": "tool",
    "function": "tool",
    "observation": "tool",
}
"""Names of roles in the wild: OpenAI and Hugging Face, ShareGPT (human, gpt, observation), Gemma (model)."""


class RowFault(Exception):  # noqa: N818 - a finding about one row, turned into a Defect by the reader
    """Why a record is no row."""

    def __init__(self, kind: DefectKind, detail: str) -> None:
        super().__init__(detail)
        self.kind: DefectKind = kind
        self.detail = detail


def detect_format(record: Record) -> Format:
    """Say which format a record has by its columns; ``auto`` when it has none of them.

    >>> detect_format({"instruction": "Add.", "output": "3"}), detect_format({"text": "x"})
    ('alpaca', 'auto')
    """
    if "chosen" in record or "rejected" in record:
        return "preference"
    if "messages" in record or "conversations" in record:
        return "chat"
    if "instruction" in record or "output" in record:
        return "alpaca"
    return "auto"


def check_format(name: str) -> Format:
    """Return ``name`` as a format.

    Raises:
        ConfigError: No such format.
    """
    if name not in {"auto", *_READERS}:
        known = ["auto", *_READERS]
        raise ConfigError(f"unknown format '{name}'{suggest_similar(name, known)}", f"formats: {', '.join(known)}")
    return cast("Format", name)


def read_record(record: Record, format_name: Format, default_id: str) -> Row:
    """Turn a record into a row.

    Args:
        record: Columns by name.
        format_name: A format other than ``auto``; ``auto`` means that none was recognised.
        default_id: Id of a row that names none.

    Raises:
        RowFault: A column is missing or has the wrong type.
    """
    if format_name == "auto":
        known = ("instruction", "output", "messages", "conversations", "prompt", "chosen", "rejected")
        raise RowFault("missing_column", f"no column of a known format, has {_list_columns(record, known)}")
    return _READERS[format_name](record, default_id)


def _read_alpaca(record: Record, default_id: str) -> Row:
    instruction = _get_text(record, "instruction")
    given = record.get("input")
    if given is not None and not isinstance(given, str):
        raise RowFault("wrong_type", f"column 'input' must be text, got {_name_type(given)}")
    answer = _get_text(record, "output")
    messages = [_build_message("user", f"{instruction}\n{given}" if given else instruction)]
    if record.get("system"):
        messages.insert(0, _build_message("system", _get_text(record, "system")))
    return _build_row(record, default_id, messages, answer)


def _read_chat(record: Record, default_id: str) -> Row:
    column = "conversations" if "conversations" in record and "messages" not in record else "messages"
    messages = _read_messages(_get_column(record, column), column)
    if record.get("answer") is not None:
        return _build_row(record, default_id, messages, _get_text(record, "answer"))
    if messages[-1].role != "assistant":
        raise RowFault("missing_column", f"column '{column}' ends with a {messages[-1].role} turn: no answer")
    if len(messages) == 1:
        raise RowFault("missing_column", f"column '{column}' has an answer and no prompt")
    return _build_row(record, default_id, messages[:-1], messages[-1].content)


def _read_preference(record: Record, default_id: str) -> Row:
    chosen, rejected = _get_column(record, "chosen"), _get_column(record, "rejected")
    prompt = record.get("prompt")
    if prompt is None:
        if isinstance(chosen, str) or isinstance(rejected, str):
            _get_column(record, "prompt")
        messages, chosen, rejected = _split_pair(_read_messages(chosen, "chosen"), _read_messages(rejected, "rejected"))
        return _build_row(record, default_id, messages, chosen, rejected)
    messages = [_build_message("user", prompt)] if isinstance(prompt, str) else _read_messages(prompt, "prompt")
    return _build_row(record, default_id, messages, _read_reply(chosen, "chosen"), _read_reply(rejected, "rejected"))


_READERS: Mapping[str, Callable[[Record, str], Row]] = {
    "alpaca": _read_alpaca,
    "chat": _read_chat,
    "preference": _read_preference,
}


def _split_pair(chosen: list[Message], rejected: list[Message]) -> tuple[list[Message], str, str]:
    if chosen[-1].role != "assistant" or rejected[-1].role != "assistant":
        raise RowFault("missing_column", "columns 'chosen' and 'rejected' must end with an assistant turn")
    if len(chosen) == 1 or chosen[:-1] != rejected[:-1]:
        raise RowFault("missing_column", "no column 'prompt', and 'chosen' and 'rejected' do not start alike")
    return chosen[:-1], chosen[-1].content, rejected[-1].content


def _read_reply(value: object, column: str) -> str:
    if isinstance(value, str):
        return value
    messages = _read_messages(value, column)
    if messages[-1].role != "assistant":
        raise RowFault("wrong_type", f"column '{column}' must end with an assistant turn, not {messages[-1].role}")
    return messages[-1].content


def _read_messages(value: object, column: str) -> list[Message]:
    if not isinstance(value, list):
        raise RowFault("wrong_type", f"column '{column}' must be a list of messages, got {_name_type(value)}")
    if not value:
        raise RowFault("wrong_type", f"column '{column}' is an empty list")
    return [_read_message(turn, column, number) for number, turn in enumerate(value)]


def _read_message(turn: object, column: str, number: int) -> Message:
    if not isinstance(turn, dict):
        raise RowFault("wrong_type", f"{column}[{number}] must be a message, got {_name_type(turn)}")
    name = turn.get("role")
    content = turn.get("content")
    if name is None and content is None:
        name, content = turn.get("from"), turn.get("value")
    role = _ROLES.get(name) if isinstance(name, str) else None
    if role is None:
        raise _explain_role(turn, name, f"{column}[{number}]")
    if isinstance(content, list):
        content = _join_parts(content, f"{column}[{number}]")
    if not isinstance(content, str):
        raise RowFault("wrong_type", f"{column}[{number}]: the content must be text, got {_name_type(content)}")
    return _build_message(role, content)


def _explain_role(turn: Record, name: object, where: str) -> RowFault:
    if name is None:
        known = ("role", "content", "from", "value")
        return RowFault("missing_column", f"{where} has neither 'role' nor 'from', has {_list_columns(turn, known)}")
    hint = suggest_similar(name, _ROLES) if isinstance(name, str) else ""
    return RowFault("wrong_type", f"{where}: unknown role {str(name)[:40]!r}{hint}")


def _join_parts(parts: Iterable[object], where: str) -> str:
    """Join the text parts of a message (OpenAI's content list)."""
    texts = []
    for part in parts:
        text = part.get("text") if isinstance(part, dict) else None
        if not isinstance(text, str):
            raise RowFault("wrong_type", f"{where}: only text parts are read")
        texts.append(text)
    return "".join(texts)


def _get_column(record: Record, column: str) -> object:
    value = record.get(column)
    if value is None:
        state = "is empty" if column in record else f"is missing, has {_list_columns(record, (column,))}"
        raise RowFault("missing_column", f"column '{column}' {state}")
    return value


def _get_text(record: Record, column: str) -> str:
    value = _get_column(record, column)
    if not isinstance(value, str):
        raise RowFault("wrong_type", f"column '{column}' must be text, got {_name_type(value)}")
    return value


def _list_columns(record: Record, known: Iterable[str]) -> str:
    """Name the columns that are there, and the closest one to what is wanted."""
    columns = [str(column)[:40] for column in list(record)[:12]]
    hints = (suggest_similar(column, known) for column in columns)
    return (", ".join(columns) or "none") + next((hint for hint in hints if hint), "")


def _name_type(value: object) -> str:
    names = {bool: "true or false", int: "a number", float: "a number", str: "text", list: "a list", dict: "an object"}
    return "nothing" if value is None else names.get(type(value), type(value).__name__)


def _build_message(role: Role, content: str) -> Message:

    return Message(role=role, content=content)


def _build_row(
    record: Record, default_id: str, messages: list[Message], answer: str, rejected: str | None = None
) -> Row:
    given = record.get("id")
    is_named = isinstance(given, str | int) and not isinstance(given, bool) and given != ""
    task, language, group = record.get("task"), record.get("language"), record.get("group")
    return Row(
        id=str(given) if is_named else default_id,
        messages=messages,
        answer=answer,
        rejected=rejected,
        task=task if isinstance(task, str) else "",
        language=language if isinstance(language, str) else "",
        group=group if isinstance(group, str) else "",
    )
