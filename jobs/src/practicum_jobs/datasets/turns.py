"""The turns of a dialogue, in the forms in which data sets write them.

Read are OpenAI's and Hugging Face's ``role``/``content`` with ``tool_calls``, ShareGPT's ``from``/``value`` with
``function_call`` and ``observation``, lists of question and answer (``history``), and transcripts in one text
("Human: ... Assistant: ...", the HH-RLHF data set).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from pydantic import TypeAdapter, ValidationError

from practicum_core.errors import suggest_similar
from practicum_core.problems import list_problems
from practicum_core.rows import Message, Role, ToolCall
from practicum_core.scorers import Scorer
from practicum_jobs.datasets.columns import Columns, Record, RowFault, list_columns, name_type
from practicum_jobs.datasets.json_text import parse_json

ROLES: Mapping[str, Role] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "human": "user",
    "assistant": "assistant",
    "gpt": "assistant",
    "chatgpt": "assistant",
    "model": "assistant",
    "bot": "assistant",
    "function_call": "assistant",
    "tool_call": "assistant",
    "tool": "tool",
    "function": "tool",
    "observation": "tool",
    "tool_response": "tool",
    "ipython": "tool",
}
"""Names of roles in the wild: OpenAI and Hugging Face, ShareGPT (human, gpt, observation), Gemma (model), Llama."""
_CALL_ROLES = frozenset({"function_call", "tool_call"})
_REASONING = ("reasoning_content", "reasoning", "thinking")
_TURN_KEYS = frozenset({"role", "content", "tool_calls", "function_call", "tool_call_id", "name", *_REASONING})
_SHAREGPT_KEYS = (_TURN_KEYS | {"from", "value"}) - {"role", "content"}
_CALL_KEYS = frozenset({"id", "type", "function"})
_TYPES = (None, "", "text", "input_text", "output_text", "function")
_PAIR = 2
_SCORER: TypeAdapter[Scorer] = TypeAdapter(Scorer)
_TRANSCRIPT = re.compile(r"\s*Human:")
_SPEAKER = re.compile(r"(?:\A\s*|\n\n)(Human|Assistant):[ \t]?")


def read_messages(value: object, column: str, columns: Columns) -> list[Message]:
    """Read a list of messages, also one that is JSON text (CSV) or a struct of lists (Parquet), or a single message.

    Raises:
        RowFault: It is none of these.
    """
    if isinstance(value, str) and value.lstrip().startswith(("[", "{")):
        value = _parse_json(value)
    if isinstance(value, dict):
        value = _unzip(value)
    if not isinstance(value, list):
        raise RowFault("wrong_type", f"column '{column}' must be a list of messages, got {name_type(value)}")
    if not value:
        raise RowFault("wrong_type", f"column '{column}' is an empty list")
    return [_read_message(turn, f"{column}[{number}]", columns) for number, turn in enumerate(value)]


def read_history(value: object, column: str) -> list[Message]:
    """Read earlier turns: a list of pairs of question and answer.

    >>> [turn.role for turn in read_history([["q", "a"]], "history")]
    ['user', 'assistant']
    """
    if isinstance(value, str) and value.lstrip().startswith("["):
        value = _parse_json(value)
    if not isinstance(value, list):
        raise RowFault("wrong_type", f"column '{column}' must be a list of pairs, got {name_type(value)}")
    turns: list[Message] = []
    for number, pair in enumerate(value):
        is_pair = isinstance(pair, list) and len(pair) == _PAIR and all(isinstance(text, str) for text in pair)
        if not is_pair:
            raise RowFault("wrong_type", f"{column}[{number}] must be a pair of texts: question and answer")
        turns += [Message(role="user", content=pair[0]), Message(role="assistant", content=pair[1])]
    return turns


def read_tools(value: object) -> tuple[Any, ...]:
    """Read the definitions of tools: a list, or the same as JSON text."""
    if isinstance(value, str):
        value = _parse_json(value)
    if isinstance(value, dict):
        value = [value]
    if not isinstance(value, list):
        raise RowFault("wrong_type", f"column 'tools' must be a list, got {name_type(value)}")
    return tuple(json.loads(_dump(value)))


def read_scorer(value: object) -> Scorer:
    """Read how a row's answers are scored: an object, or the same as JSON text.

    Raises:
        RowFault: No scorer has that kind, or an option is wrong.
    """
    if isinstance(value, str):
        value = _parse_json(value) if value.lstrip().startswith("{") else {"kind": value}
    try:
        return _SCORER.validate_python(value)
    except ValidationError as error:
        raise RowFault("wrong_type", f"column 'scorer': {list_problems(error)[0]}") from error


def is_transcript(text: str) -> bool:
    r"""Whether a text is a dialogue of Human and Assistant.

    >>> is_transcript("\n\nHuman: hi\n\nAssistant: yes"), is_transcript("Human beings")
    (True, False)
    """
    return _TRANSCRIPT.match(text) is not None and "Assistant:" in text


def read_transcript(text: str) -> list[Message]:
    r"""Cut a transcript into turns; an assistant turn without a text at its end is where the answer goes.

    >>> [(turn.role, turn.content) for turn in read_transcript("\n\nHuman: hi\n\nAssistant:")]
    [('user', 'hi')]
    """
    parts = _SPEAKER.split(text)[1:]
    turns = [
        Message(role="user" if speaker == "Human" else "assistant", content=said.strip())
        for speaker, said in zip(parts[::2], parts[1::2], strict=True)
    ]
    if len(turns) > 1 and turns[-1].role == "assistant" and not turns[-1].content:
        turns.pop()
    return turns


def _parse_json(text: str) -> object:
    """Return what a text means as JSON, or the text where it is none."""
    try:
        return parse_json(text)
    except ValueError:
        return text


def _unzip(value: Record) -> object:
    """Turn a struct of equally long lists into a list of structs, and one message into a list of it."""
    lists = {name: part for name, part in value.items() if part is not None}
    if lists and all(isinstance(part, list) for part in lists.values()):
        lengths = {len(part) for part in lists.values()}
        if len(lengths) == 1:
            return [dict(zip(lists, parts, strict=True)) for parts in zip(*lists.values(), strict=True)]
    return [value] if "role" in value or "from" in value else value


def _read_message(turn: object, where: str, columns: Columns) -> Message:
    if not isinstance(turn, dict):
        raise RowFault("wrong_type", f"{where} must be a message, got {name_type(turn)}")
    name, content = turn.get("role"), turn.get("content")
    is_sharegpt = name is None and content is None
    if is_sharegpt:
        name, content = turn.get("from"), turn.get("value")
    role = ROLES.get(name) if isinstance(name, str) else None
    if role is None:
        raise _explain_role(turn, name, where)
    if isinstance(content, str) and len(turn) == _PAIR and name not in _CALL_ROLES:
        return Message(role=role, content=content)  # all that most turns have
    _note_unread(turn, _SHAREGPT_KEYS if is_sharegpt else _TURN_KEYS, where, columns)
    calls = _read_calls(turn, where, columns)
    if name in _CALL_ROLES and isinstance(content, str):
        found = _read_written_calls(content)
        calls, content = (calls + found, "") if found else (calls, content)
    reasoning = _read_reasoning(turn, where)
    return Message(
        role=role,
        content=_read_content(content, role, where, columns, may_lack=bool(calls or reasoning)),
        reasoning_content=reasoning,
        tool_calls=calls,
        tool_call_id=_read_label(turn, "tool_call_id", where),
        name=_read_label(turn, "name", where),
    )


def _note_unread(part: Record, known: frozenset[str], where: str, columns: Columns) -> None:
    """Note the keys of a part that are not read, and a type that is none of a text or a function."""
    unread = [key for key in part.keys() - known if part[key] is not None]
    if "type" in known and part.get("type") not in _TYPES:
        unread.append("type")
    if unread:
        place = re.sub(r"\[\d+\]", "[]", where)
        for key in unread:
            columns.note_part(f"{place}.{key}"[:80])


def _read_content(content: object, role: Role, where: str, columns: Columns, *, may_lack: bool) -> str:
    if isinstance(content, str):
        return content
    if content is None and may_lack:
        return ""
    if isinstance(content, list) and all(isinstance(part, dict) and "text" in part for part in content):
        return _join_parts(content, where, columns)
    if role == "tool" and isinstance(content, dict | list):
        return _dump(content)
    if isinstance(content, list):
        raise RowFault("wrong_type", f"{where}: only text parts are read")
    raise RowFault("wrong_type", f"{where}: the content must be text, got {name_type(content)}")


def _join_parts(parts: list[Record], where: str, columns: Columns) -> str:
    """Join the text parts of a message (OpenAI's content list)."""
    texts = []
    for part in parts:
        text = part["text"]
        if not isinstance(text, str):
            raise RowFault("wrong_type", f"{where}: only text parts are read")
        _note_unread(part, frozenset({"type", "text"}), f"{where}.content[]", columns)
        texts.append(text)
    return "".join(texts)


def _read_reasoning(turn: Record, where: str) -> str | None:
    texts = []
    for key in _REASONING:
        value = turn.get(key)
        if value is None or value == "":
            continue
        if not isinstance(value, str):
            raise RowFault("wrong_type", f"{where}.{key} must be text, got {name_type(value)}")
        texts.append(value)
    return "\n".join(dict.fromkeys(texts)) or None


def _read_label(turn: Record, key: str, where: str) -> str | None:
    value = turn.get(key)
    if value is None or isinstance(value, str):
        return value or None
    raise RowFault("wrong_type", f"{where}.{key} must be text, got {name_type(value)}")


def _read_calls(turn: Record, where: str, columns: Columns) -> tuple[ToolCall, ...]:
    """Read OpenAI's ``tool_calls``, or its older ``function_call``."""
    given = turn.get("tool_calls")
    if isinstance(given, str) and given:
        given = _parse_json(given)
    if given is not None and given != "" and not isinstance(given, list):
        raise RowFault("wrong_type", f"{where}.tool_calls must be a list, got {name_type(given)}")
    calls = [_read_call(call, f"{where}.tool_calls[{number}]", columns) for number, call in enumerate(given or ())]
    if turn.get("function_call") is not None:
        calls.append(_read_call(turn["function_call"], f"{where}.function_call", columns))
    return tuple(calls)


def _read_call(call: object, where: str, columns: Columns) -> ToolCall:
    if not isinstance(call, dict):
        raise RowFault("wrong_type", f"{where} must be an object, got {name_type(call)}")
    inner, known = call, frozenset({"id", "type", "name", "arguments", "parameters"})
    if isinstance(call.get("function"), dict):
        inner = call["function"]
        _note_unread(call, _CALL_KEYS, where, columns)
        known = frozenset({"name", "arguments", "parameters"})
    name = inner.get("name")
    if not isinstance(name, str):
        raise RowFault("wrong_type", f"{where} names no function")
    key = "arguments" if inner.get("arguments") is not None else "parameters"
    _note_unread(inner, known - ({"parameters"} if key == "arguments" else frozenset()), where, columns)
    return ToolCall(name=name, arguments=_write_arguments(inner.get(key)), id=_read_label(call, "id", where))


def _read_written_calls(text: str) -> tuple[ToolCall, ...]:
    """Read the text of a ``function_call`` turn: one call as JSON, or a list of them; nothing where it is neither."""
    value = _parse_json(text)
    calls = value if isinstance(value, list) else [value]
    columns = Columns({})
    try:
        found = tuple(_read_call(call, "call", columns) for call in calls)
    except RowFault:
        return ()
    return () if columns.list_unread() else found


def _write_arguments(value: object) -> str:
    """Return a call's arguments as text; numbers of a text keep their digits."""
    if isinstance(value, str):
        return value
    return "{}" if value is None else _dump(value)


def _dump(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)  # columnar files hold dates and decimals


def _explain_role(turn: Record, name: object, where: str) -> RowFault:
    if name is None:
        known = ("role", "content", "from", "value")
        return RowFault("missing_column", f"{where} has neither 'role' nor 'from', has {list_columns(turn, known)}")
    hint = suggest_similar(name, ROLES) if isinstance(name, str) else ""
    return RowFault("wrong_type", f"{where}: unknown role {str(name)[:40]!r}{hint}")
