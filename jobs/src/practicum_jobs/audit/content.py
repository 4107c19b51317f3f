"""Decides which text of a row each check looks at, and in what form a row travels to worker processes."""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

from practicum_core.rows import Row
from practicum_jobs.datasets.formats import detect_format, read_record
from practicum_jobs.datasets.json_stream import decode_record
from practicum_jobs.text.shingles import normalise_text


class Content(NamedTuple):
    """A row reduced to text. ``turns`` are pairs (role, content) without the answer.

    A tuple, because millions of them are pickled.
    """

    turns: tuple[tuple[str, str], ...]
    answer: str
    rejected: str | None

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

    def build_conversation(self) -> list[dict[str, str]]:
        """Return the turns with the answer as a chat template takes them."""
        turns = [{"role": role, "content": text} for role, text in self.turns]
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
    return Content(tuple((message.role, message.content) for message in row.messages), row.answer, row.rejected)


def build_record(row: Row) -> dict[str, Any]:
    """Return the row as a record of the chat or preference format, which every reader of the course takes."""
    turns = [{"role": message.role, "content": message.content} for message in row.messages]
    known = {"task": row.task, "language": row.language, "group": row.group}
    extra = {name: value for name, value in known.items() if value}
    if row.rejected is not None:
        return {"id": row.id, "prompt": turns, "chosen": row.answer, "rejected": row.rejected, **extra}
    return {"id": row.id, "messages": [*turns, {"role": "assistant", "content": row.answer}], **extra}


def read_content(line: bytes) -> Content:
    """Reduce a row of the clean copy to text, from the bytes of its line.

    >>> read_content(b'{"messages":[{"role":"user","content":"u"},{"role":"assistant","content":"a"}]}').answer
    'a'
    """
    record = decode_record(line)
    return build_content(read_record(record, detect_format(record), ""))
