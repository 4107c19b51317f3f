"""The offline judge: both answers are compared with the reference answer by the scorers of the course. Pure."""

from __future__ import annotations

from collections.abc import Generator, Sequence

from practicum_core.stages.judge import Winner
from practicum_jobs.judge.pairs import Grade, Judgement, Pair, Question
from practicum_jobs.scoring.answers import score_answer


class ReferenceJudge:
    """Prefers the JSON answer with more right fields, then the exact one; of texts, the one with the expected words."""

    identity = "reference: the scorers of the course"
    instructions = ""

    def judge(self, questions: Sequence[Question]) -> Generator[tuple[Question, Judgement]]:
        """Answer each question in turn.

        Raises:
            DataError: The expected answer of an ``extract`` row is not a JSON object.
        """
        for question in questions:
            better = name_better(question.pair)
            if better == "tie":
                yield question, Judgement("tie")
            else:
                yield question, Judgement("first" if (better == "base") is question.is_base_first else "second")


def name_better(pair: Pair) -> Winner:
    """Return which answer of a pair the scorers prefer: those of its evaluation where they scored it."""
    base, candidate = pair.grades or (grade_answer(pair, pair.base), grade_answer(pair, pair.candidate))
    if base == candidate:
        return "tie"
    return "candidate" if candidate > base else "base"


def grade_answer(pair: Pair, answer: str) -> Grade:
    """Return how right an answer is.

    >>> pair = Pair("1", "pair", "en", "question", "", "75 days", "", "", None, "")
    >>> grade_answer(pair, "It is 75 days.") == grade_answer(pair, "75 days") > grade_answer(pair, "70 days")
    True
    """
    score = score_answer(pair.task, pair.expected, answer)
    if score.is_json is None:
        return int(score.is_mentioned), False
    return sum(score.fields.values()), score.is_exact
