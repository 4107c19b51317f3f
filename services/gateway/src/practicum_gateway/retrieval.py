"""Search in the knowledge base: BM25 ranks the articles, and what an article covers of a question decides on an answer.

BM25's scores have no common scale, so what decides on an answer is the weight of the question's words that the article
has (rare words weigh more), and its share of the weight of all words. A short question must be covered for the most
part; a long one, such as a ticket with names and numbers, must share enough words. Chinese is cut into words by rjieba;
the default tokenizer of bm25s takes a Chinese sentence for one word.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import bm25s
import rjieba

from practicum_gateway.knowledge import Article

_WORD = re.compile(r"\w", re.UNICODE)
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+|(?<=[。！？])")
_MIN_PLURAL = 4
_STOP_TEXT = (
    "a an and are as at be been but by can could do does for from had has have how i if in is it its me my of on or our"
    " so that the their there they this to until was we were what when where which who why will with you your"
    " 的 了 吗 呢 啊 我 我们 你 您 请 在 是 就 都 和 与 也 有 把 被 怎么 什么 多久 吧 这 那 还 要 会 可以"
)
_STOP_WORDS = frozenset(_STOP_TEXT.split())


@dataclass(frozen=True)
class Hit:
    """An article that a search found.

    Attributes:
        article: What was found.
        score: BM25's; higher is better.
        evidence: Weight of the question's words that the article has; a word of one article in a hundred weighs 4.6.
        coverage: Their share of the weight of all words of the question, from 0 to 1.
    """

    article: Article
    score: float
    evidence: float
    coverage: float


@dataclass(frozen=True)
class Floor:
    """What an article must have of a question to answer it: one of both."""

    evidence: float = 5.0
    coverage: float = 0.6

    def is_reached(self, hit: Hit) -> bool:
        """Whether an article may answer."""
        return hit.evidence >= self.evidence or hit.coverage >= self.coverage


@dataclass(frozen=True)
class Extract:
    """A sentence that answers a question, with its source."""

    sentence: str
    hit: Hit

    @property
    def text(self) -> str:
        """The sentence with its citation."""
        return f"{self.sentence} [{self.hit.article.id}: {self.hit.article.title}]"


def split_words(text: str) -> list[str]:
    """Split a text in English or Chinese into the words that a search looks at.

    >>> split_words("How long do refunds take?"), split_words("退款多久到账？")
    (['long', 'refund', 'take'], ['退款', '到', '账'])
    """
    words = (word.casefold() for word in rjieba.cut(text) if _WORD.search(word))
    return [_strip_plural(word) for word in words if word not in _STOP_WORDS]


def _strip_plural(word: str) -> str:
    is_plural = len(word) >= _MIN_PLURAL and word.isascii() and word.endswith("s") and not word.endswith("ss")
    return word[:-1] if is_plural else word


class Retriever:
    """An index over articles, in memory.

    Args:
        articles: What is searched; at least one.
    """

    def __init__(self, articles: Sequence[Article]) -> None:
        self._articles = list(articles)
        words = [split_words(" ".join((one.title, one.text, *one.questions))) for one in articles]
        self._words = [frozenset(one) for one in words]
        self._index = bm25s.BM25()
        self._index.index(words, show_progress=False)
        counts = Counter(word for one in self._words for word in one)
        num = len(self._articles)
        self._weights = {word: math.log(1 + num / count) for word, count in counts.items()}
        self._unknown_weight = math.log(1 + num)

    def search(self, question: str, num_hits: int = 3) -> list[Hit]:
        """Return the best articles for a question, best first; none where no word of it is known."""
        words = split_words(question)
        known = [word for word in words if word in self._weights]
        if not known:
            return []
        scores = self._index.get_scores(known)
        order = sorted(range(len(self._articles)), key=lambda place: -scores[place])[:num_hits]
        return [
            Hit(self._articles[place], float(scores[place]), *self._weigh(words, self._words[place]))
            for place in order
            if scores[place] > 0
        ]

    def extract(self, question: str, floor: Floor) -> Extract | None:
        """Return the sentence of the best article that has most of a question.

        Args:
            question: In English or Chinese.
            floor: ``None`` is returned where the article does not reach it.
        """
        hits = self.search(question, 1)
        if not hits or not floor.is_reached(hits[0]):
            return None
        words = split_words(question)
        sentences = [one.strip() for one in _SENTENCE_END.split(hits[0].article.text) if one.strip()]
        best = max(sentences, key=lambda sentence: self._weigh(words, frozenset(split_words(sentence)))[0])
        return Extract(best, hits[0])

    def _weigh(self, words: Sequence[str], present: frozenset[str]) -> tuple[float, float]:
        """Return the weight of the words that are present, and its share of the weight of all."""
        weights = {word: self._weights.get(word, self._unknown_weight) for word in words}
        total = sum(weights.values())
        found = sum(weight for word, weight in weights.items() if word in present)
        return found, found / total if total else 0.0
