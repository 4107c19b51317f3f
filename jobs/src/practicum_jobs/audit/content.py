"""The texts of a row that the checks look at."""

from __future__ import annotations

import functools
import json
from collections.abc import Sequence
from typing import Any, NamedTuple

from practicum_core.rows import Message, Row
from practicum_jobs.text.shingles import normalise_text


class Content(NamedTuple):
    """A row reduced to text.

    Attributes:
        turns: Pairs (role, text) without the answer; a text holds reasoning and tool calls too. Definitions of tools
            are a system turn.
        answer: The same of the answer.
        rejected: The same of the rejected answer.
        rich: The row, where it is more than texts by role.
    """

    turns: tuple[tuple[str, str], ...]
    answer: str
    rejected: str | None
    rich: Row | None = None

    @property
    def instructions(self) -> str:
        """System turns, which rows of a data set usually share."""
        return "\n".join(text for role, text in self.turns if role == "system")

    @property
    def dialogue(self) -> str:
        """All but system turns, the answer and the rejected answer: what makes the row this row."""
        parts = [text for role, text in self.turns if role != "system"]
        parts.append(self.answer)
        if self.rejected is not None:
            parts.append(self.rejected)
        return "\n".join(parts)

    @property
    def reply(self) -> str:
        """What the answer gives: its content, or its tool calls; reasoning alone is no answer."""
        if self.rich is None or self.rich.reply.tool_calls:
            return self.answer
        return self.rich.answer

    @property
    def tools(self) -> Sequence[Any]:
        """Definitions of the row's tools."""
        return self.rich.tools if self.rich else ()

    def build_conversation(self) -> list[dict[str, Any]]:
        """Return the turns with the answer as a chat template takes them."""
        if self.rich is not None:
            return [turn.build_turn() for turn in (*self.rich.messages, self.rich.reply)]
        turns: list[dict[str, Any]] = [{"role": role, "content": text} for role, text in self.turns]
        turns.append({"role": "assistant", "content": self.answer})
        return turns


class Normalised(NamedTuple):
    """A row's texts in the form in which equal texts are equal; what rows are compared by."""

    dialogue: str
    prompt: str
    answers: str


def normalise_content(content: Content) -> Normalised:
    """Normalise each text of a row once.

    ``dialogue`` equals the normal form of :attr:`Content.dialogue`. ``prompt`` and ``answers`` hold separators that no
    normalised text holds.
    """
    turns = [
        (role, _normalise_shared(text) if role == "system" else normalise_text(text)) for role, text in content.turns
    ]
    answers = [normalise_text(content.answer)]
    if content.rejected is not None:
        answers.append(normalise_text(content.rejected))
    parts = [text for role, text in turns if role != "system"] + answers
    return Normalised(
        " ".join(part for part in parts if part),
        "\x1e".join(f"{role}\x1f{text}" for role, text in turns),
        "\x1e".join(answers),
    )


@functools.lru_cache(maxsize=256)
def _normalise_shared(text: str) -> str:
    return normalise_text(text)


def build_content(row: Row) -> Content:
    """Reduce a row to text."""
    is_plain = row.answer_turn is None and row.rejected_turn is None and not row.tools
    if is_plain and all(message.is_plain for message in row.messages):
        return Content(tuple([(message.role, message.content) for message in row.messages]), row.answer, row.rejected)
    turns = [(message.role, _write_turn(message)) for message in row.messages]
    if row.tools:
        turns.insert(0, ("system", json.dumps(row.tools, ensure_ascii=False)))
    rejected = row.rejected if row.rejected_turn is None else _write_turn(row.rejected_turn)
    return Content(tuple(turns), _write_turn(row.reply), rejected, row)


def _write_turn(message: Message) -> str:
    """Return everything that a turn says, one part a line."""
    parts = [message.name, message.reasoning_content, message.content]
    parts += [part for call in message.tool_calls for part in (call.name, _decode_escapes(call.arguments))]
    return "\n".join(part for part in parts if part)


def _decode_escapes(arguments: str) -> str:
    r"""Write JSON without escapes for characters, behind which nothing would be found.

    >>> _decode_escapes('{"a": "\\u5f20"}')
    '{"a": "张"}'
    """
    if "\\" not in arguments:
        return arguments
    try:
        return json.dumps(json.loads(arguments), ensure_ascii=False)
    except (ValueError, RecursionError):
        return arguments
