"""The knowledge base: articles of a support desk, read from JSON lines, and stored answers to their exact questions."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from practicum_core.errors import DataError

BUILTIN = {"builtin:tickets": Path(__file__).with_name("tickets_knowledge.jsonl")}
"""Knowledge bases that come with the gateway, by URI; each belongs to the data set of that name."""
_NO_WORD = re.compile(r"[\W_]+")
_FIELDS = ("id", "language", "title", "text")


class KnowledgeOutError(Exception):
    """The knowledge base cannot be searched now."""


@dataclass(frozen=True)
class Article:
    """One article.

    Attributes:
        id: What a citation names.
        category: What it is about.
        language: ``en`` or ``zh``.
        title: Of the article.
        text: Whole sentences.
        questions: That it answers, as people ask them.
    """

    id: str
    category: str
    language: str
    title: str
    text: str
    questions: tuple[str, ...] = ()


class StoredAnswers:
    """Answers to questions that are asked in exactly these words; needs no search.

    Args:
        articles: Whose questions are known.
    """

    def __init__(self, articles: Sequence[Article]) -> None:
        self._by_question = {normalize(question): one for one in articles for question in one.questions}

    def __len__(self) -> int:
        """Return the number of questions."""
        return len(self._by_question)

    def find(self, question: str) -> Article | None:
        """Return the article that answers a question; ``None`` where no article has it."""
        return self._by_question.get(normalize(question))


def normalize(text: str) -> str:
    """Return a text in lower case, its words divided by single spaces, without punctuation.

    >>> normalize("  How LONG does a refund take?! "), normalize("退款多久到账？")
    ('how long does a refund take', '退款多久到账')
    """
    return _NO_WORD.sub(" ", text).strip().casefold()


def read_articles(uri: str) -> list[Article]:
    """Read a knowledge base.

    Args:
        uri: One of :data:`BUILTIN`, or the path of a file of JSON lines.

    Raises:
        DataError: It cannot be read, or a line is no article.
    """
    path = BUILTIN.get(uri) or Path(uri)
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        known = ", ".join(BUILTIN)
        raise DataError(f"{uri}: {error}", f"name a file of JSON lines in UTF-8, or one of {known}") from error
    articles = [_read_article(uri, number, line) for number, line in enumerate(lines, 1) if line.strip()]
    if not articles:
        raise DataError(f"{uri}: no article", "give at least one line")
    return articles


def _read_article(uri: str, number: int, line: str) -> Article:
    try:
        row = json.loads(line)
        texts = {name: row[name] for name in _FIELDS}
        questions = row.get("questions", [])
        is_valid = all(isinstance(one, str) and one for one in (*texts.values(), *questions))
    except (ValueError, KeyError, TypeError, AttributeError):
        is_valid = False
    if not is_valid:
        raise DataError(
            f"{uri}, line {number}: no article", f"give an object with the texts {', '.join(_FIELDS)}, and questions"
        )
    return Article(category=str(row.get("category", "")), questions=tuple(questions), **texts)
