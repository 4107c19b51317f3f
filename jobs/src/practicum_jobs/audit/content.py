"""Decides which text of a row each check looks at."""

from __future__ import annotations

import functools
from typing import NamedTuple

from practicum_core.rows import Row
from practicum_jobs.text.shingles import normalise_text


class Content(NamedTuple):
    """A row reduced to text. ``turns`` are pairs (role, content) without the answer."""

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
