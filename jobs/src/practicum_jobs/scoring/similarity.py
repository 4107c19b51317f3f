"""Similarity of an answer to the expected text by chrF and ROUGE, from the libraries sacrebleu and rouge-score."""

from __future__ import annotations

import re
from functools import cache, lru_cache
from typing import Any

from practicum_core.scorers import ChrfScorer, RougeScorer
from practicum_jobs.scoring.answers import Score

_WORD = re.compile(r"[\u3400-\u9fff\uf900-\ufaff]|[^\W_]+?(?=[\u3400-\u9fff\uf900-\ufaff]|\W|_|$)")


def score_chrf(scorer: ChrfScorer, expected: str, answer: str) -> Score:
    """Score by chrF (Popović 2015), from 0 to 1.

    >>> score_chrf(ChrfScorer(), "巴黎是首都", "巴黎是首都").value
    1.0
    """
    value = float(_build_chrf(scorer.word_order).sentence_score(answer, [expected]).score) / 100
    return _grade(value, scorer.threshold, "low_chrf", answer)


def score_rouge(scorer: RougeScorer, expected: str, answer: str) -> Score:
    """Score by the F1 of ROUGE (Lin 2004), from 0 to 1."""
    value = float(_build_rouge(scorer.variant).score(expected, answer)[scorer.variant].fmeasure)
    return _grade(value, scorer.threshold, "low_rouge", answer)


class CharacterAndWordTokenizer:
    """Cuts a text into words of letters and digits, and each ideograph for itself; rouge-score's own drops those."""

    def tokenize(self, text: str) -> list[str]:
        """Return the tokens in lower case.

        >>> CharacterAndWordTokenizer().tokenize("退款 TK-12，12天Ok")
        ['退', '款', 'tk', '12', '12', '天', 'ok']
        """
        return _WORD.findall(text.casefold())


def _grade(value: float, threshold: float, failure: str, answer: str) -> Score:
    is_right = value >= threshold
    kind = failure if answer.strip() else "empty"
    return Score(is_exact=is_right, is_mentioned=is_right, failure="" if is_right else kind, value=value)


@cache
def _build_chrf(word_order: int) -> Any:  # noqa: ANN401 - untyped library object
    from sacrebleu.metrics.chrf import CHRF  # noqa: PLC0415 - for rows that ask for it

    return CHRF(word_order=word_order)


@lru_cache(maxsize=4)
def _build_rouge(variant: str) -> Any:  # noqa: ANN401 - untyped library object
    from rouge_score.rouge_scorer import RougeScorer as LibraryScorer  # noqa: PLC0415 - seconds, it imports nltk

    return LibraryScorer([variant], tokenizer=CharacterAndWordTokenizer())
