"""Pairs of answers, the questions about them, and what a judge said. Pure."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from practicum_core.stages.judge import Unusable, Winner

Verdict = Literal["first", "second", "tie"]
PairKind = Literal["pair", "gold", "canary"]
Grade = tuple[float, bool]
"""How right an answer is: right fields or points, then whether the whole is right. A higher grade is better."""
SCORES: dict[Winner, float] = {"candidate": 1.0, "base": 0.0, "tie": 0.5}


@dataclass(frozen=True)
class Pair:
    """Two answers to one prompt.

    Attributes:
        id: Unique among pairs of one kind.
        kind: A pair of the run, of the gold set, or a canary.
        language: ``en`` or ``zh``; the judge is asked in it.
        task: ``extract`` or any other; how scorers compare with the expected answer.
        prompt: What the models were asked.
        expected: The reference answer.
        base: Answer of the base model, or of the worse or better side of a gold pair.
        candidate: The other answer.
        winner: Which is better, where that is known.
        cluster: Pairs of one cluster tend to be judged alike.
        grades: What the scorers of the evaluation gave the base model's answer and the candidate's; ``None`` where the
            answers were never scored.
    """

    id: str
    kind: PairKind
    language: str
    task: str
    prompt: str
    expected: str
    base: str
    candidate: str
    winner: Winner | None
    cluster: str
    grades: tuple[Grade, Grade] | None = None

    @property
    def length_gap(self) -> int:
        """Characters of the candidate's answer minus those of the base model's."""
        return len(self.candidate) - len(self.base)

    @property
    def is_equal(self) -> bool:
        """Whether the answers are one text but for white space around it, as a blind test sees them."""
        return self.base.strip() == self.candidate.strip()


@dataclass(frozen=True)
class Question:
    """One pair in one order; of canaries, in one round."""

    pair: Pair
    is_base_first: bool
    round: str = ""

    @property
    def id(self) -> str:
        """Unique in a run."""
        order = "base-first" if self.is_base_first else "candidate-first"
        return "/".join(part for part in (self.pair.kind, self.round, self.pair.id, order) if part)

    @property
    def answers(self) -> tuple[str, str]:
        """The two answers in the order in which the judge sees them."""
        one, other = self.pair.base, self.pair.candidate
        return (one, other) if self.is_base_first else (other, one)


@dataclass(frozen=True)
class Judgement:
    """What a judge said to one question: a verdict, or why there is none.

    ``text`` is the beginning of its answer; ``model`` the model that it named itself, where it did.
    """

    verdict: Verdict | None
    unusable: Unusable | None = None
    text: str = ""
    model: str = ""


class Judge(Protocol):
    """Anything that answers questions. A judge yields each question with its judgement, in any order."""

    @property
    def identity(self) -> str:
        """What judges, without any key; equal for judges that are asked the same way."""

    @property
    def instructions(self) -> str:
        """What the judge is told beside a question; empty for a program."""

    def judge(self, questions: Sequence[Question]) -> Generator[tuple[Question, Judgement]]:
        """Answer the questions."""


@dataclass(frozen=True)
class PairVerdict:
    """The winners that a judge named in both orders; ``None`` where an answer gave no verdict."""

    pair: Pair
    base_first: Winner | None
    candidate_first: Winner | None
    is_cached: bool = False

    @property
    def winner(self) -> Winner | None:
        """The winner: a tie where the orders disagree, and ``None`` where one gave no verdict.

        Source: Zheng et al., "Judging LLM-as-a-judge", arXiv:2306.05685, section 3.4 (swap positions).
        """
        if self.base_first is None or self.candidate_first is None:
            return None
        return self.base_first if self.base_first == self.candidate_first else "tie"

    @property
    def is_flipped(self) -> bool:
        """Whether both orders gave verdicts, and different ones."""
        return self.winner is not None and self.base_first != self.candidate_first


def name_winner(question: Question, verdict: Verdict | None) -> Winner | None:
    """Return the model behind a verdict.

    >>> pair = Pair("1", "pair", "en", "", "", "", "", "", None, "")
    >>> name_winner(Question(pair, is_base_first=False), "first")
    'candidate'
    """
    if verdict is None or verdict == "tie":
        return verdict
    return "base" if (verdict == "first") is question.is_base_first else "candidate"
