"""The knowledge base as the ladder and the search share it: one index, and an outage where it cannot be searched.

What breaks a search is no fault of the request: the ladder answers by a rung that needs none, the search says so.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import TypeVar

from practicum_gateway.knowledge import Article, KnowledgeOutError, StoredAnswers
from practicum_gateway.retrieval import Extract, Floor, Hit, Retriever

_Found = TypeVar("_Found")
_LOG = logging.getLogger(__name__)


class KnowledgeBase:
    """A knowledge base that may be out.

    Args:
        articles: What is searched; at least one.
        refuse: Raises where searches are to fail, as an experiment asks for it.

    Attributes:
        stored: Answers to questions in exactly these words, which need no search.
        is_out: Whether the last :meth:`probe` failed.
    """

    def __init__(self, articles: Sequence[Article], refuse: Callable[[], None] = lambda: None) -> None:
        self.stored = StoredAnswers(articles)
        self.is_out = False
        self._retriever = Retriever(articles)
        self._floor = Floor()
        self._refuse = refuse
        self._known = articles[0].title

    def search(self, question: str, num_hits: int) -> list[Hit]:
        """Return the best articles for a question that reach the floor, best first.

        Raises:
            KnowledgeOutError: It cannot be searched.
        """
        hits = self._try(lambda: self._retriever.search(question, num_hits))
        return [hit for hit in hits if self._floor.is_reached(hit)]

    def extract(self, question: str) -> Extract | None:
        """Return the sentence that answers a question; ``None`` where no article reaches the floor.

        Raises:
            KnowledgeOutError: It cannot be searched.
        """
        return self._try(lambda: self._retriever.extract(question, self._floor))

    def probe(self) -> None:
        """Ask what an article answers: one request that fails may be at fault itself, and takes nobody's rung."""
        was_out = self.is_out
        try:
            self.search(self._known, 1)
        except KnowledgeOutError:
            self.is_out = True
        else:
            self.is_out = False
        if self.is_out is not was_out:
            _LOG.warning("the knowledge base %s", "cannot be searched" if self.is_out else "can be searched again")

    def _try(self, find: Callable[[], _Found]) -> _Found:
        try:
            self._refuse()
            return find()
        except Exception as error:
            raise KnowledgeOutError(f"{type(error).__name__}: {error}") from error
