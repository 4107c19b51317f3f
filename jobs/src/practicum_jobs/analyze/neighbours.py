"""The training rows that resemble a row most, by TF-IDF over character n-grams.

Character n-grams need no tokenizer and work for Chinese as for English. Digits are made equal first: two tickets that
differ in their numbers alone ask for the same thing.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from practicum_core.rows import Row
from practicum_core.stages.analyze import Neighbour
from practicum_jobs.render.foreign_text import shorten

MAX_CHARS = 2000
"""Characters of a prompt that are compared."""
_EXCERPT = 160
_DIGITS = re.compile(r"\d+")
_BATCH = 256


class TrainingIndex:
    """Training rows, searchable by resemblance.

    Args:
        rows: The training rows.
    """

    def __init__(self, rows: Sequence[Row]) -> None:
        # The import takes a second, and runs without failures do without it.
        from sklearn.feature_extraction.text import TfidfVectorizer  # noqa: PLC0415

        self._rows = rows
        self._vectorizer = TfidfVectorizer(analyzer="char", ngram_range=(2, 4), sublinear_tf=True, dtype=np.float32)
        self._matrix = self._vectorizer.fit_transform([_normalise(row.messages[-1].content) for row in rows])

    def find(self, prompts: Sequence[str], count: int) -> list[list[Neighbour]]:
        """Return the ``count`` most similar training rows of each prompt, the most similar first."""
        found: list[list[Neighbour]] = []
        for start in range(0, len(prompts), _BATCH):
            batch = self._vectorizer.transform([_normalise(prompt) for prompt in prompts[start : start + _BATCH]])
            similarity = (batch @ self._matrix.T).toarray()
            for line in similarity:
                places = np.argsort(-line, kind="stable")[:count]
                found.append([self._describe(int(place), float(line[place])) for place in places])
        return found

    def _describe(self, place: int, similarity: float) -> Neighbour:
        row = self._rows[place]
        return Neighbour(
            id=row.id,
            similarity=round(min(similarity, 1.0), 4),
            prompt=shorten(row.messages[-1].content, _EXCERPT),
            answer=shorten(row.answer, _EXCERPT),
        )


def _normalise(text: str) -> str:
    """Lower the case and make numbers equal.

    >>> _normalise("Order TK-123")
    'order tk-0'
    """
    return _DIGITS.sub("0", text[:MAX_CHARS].casefold())
