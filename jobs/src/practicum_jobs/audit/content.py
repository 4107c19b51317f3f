"""Decides which text of a row each check looks at, and in what form a row travels to worker processes."""

from __future__ import annotations

from typing import Any, NamedTuple

from practicum_core.rows import Row


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

    @property
    def prompt(self) -> str:
        """Everything before the answer, roles included."""
        return "\n".join(f"{role}: {text}" for role, text in self.turns)

    @property
    def answers(self) -> str:
        """Answer and rejected answer, told apart by a separator that no text holds after normalisation."""
        return self.answer if self.rejected is None else f"{self.answer}\n\x1e{self.rejected}"

    def build_conversation(self) -> list[dict[str, str]]:
        """Return the turns with the answer as a chat template takes them."""
        turns = [{"role": role, "content": text} for role, text in self.turns]
        turns.append({"role": "assistant", "content": self.answer})
        return turns


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
