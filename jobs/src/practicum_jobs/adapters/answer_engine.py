"""What an evaluation asks of an inference engine: prompts of token ids in, answers out."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from practicum_jobs.storage.answers import Answer

REMOTE = "remote"
"""Device of an engine that is a server."""


@dataclass(frozen=True)
class EngineFacts:
    """How answers are computed; known before the model is loaded.

    Attributes:
        name: Of the engine.
        version: Of its packages, and of the code that uses them.
        dtype: Number format that it computes in.
        device: ``cpu``, ``cuda``, or ``remote`` for a server.
    """

    name: str
    version: str
    dtype: str
    device: str


def hash_code(*modules: str) -> str:
    """Return a short hash of modules of this package: answers that other code gave are not those of this code.

    >>> hash_code("models/tokens") == hash_code("models/tokens"), len(hash_code("models/tokens"))
    (True, 12)
    """
    sources = [(Path(__file__).parents[1] / f"{module}.py").read_bytes() for module in modules]
    return hashlib.sha256(b"\0".join(sources)).hexdigest()[:12]


@dataclass(frozen=True)
class EngineAnswer:
    """An answer, and the prompt's token ids as the engine says that it processed them; ``None`` if it does not say."""

    answer: Answer
    prompt_token_ids: Sequence[int] | None


@dataclass(frozen=True)
class ChoiceScores:
    """The log-probability of each choice in nats, and what the engine says that it processed: prompts with choices."""

    logprobs: tuple[float, ...]
    token_ids: Sequence[Sequence[int] | None]


@dataclass(frozen=True)
class Prompt:
    """A prompt as token ids, and the turns and tools that it was rendered from, which a chat server is sent."""

    token_ids: list[int]
    turns: Sequence[Mapping[str, Any]]
    tools: Sequence[Any] = ()


@dataclass(frozen=True)
class ChoiceQuestion:
    """A prompt and what may follow it, as token ids."""

    prompt: list[int]
    choices: tuple[list[int], ...]


def gather_choices(
    questions: Sequence[ChoiceQuestion], scores: Sequence[tuple[float, Sequence[int] | None]]
) -> list[ChoiceScores]:
    """Return by question what was computed for its choices, which come one after the other."""
    left = iter(scores)
    gathered = [[next(left) for _ in one.choices] for one in questions]
    return [ChoiceScores(tuple(score for score, _ in some), [ids for _, ids in some]) for some in gathered]


class AnswerEngine(Protocol):
    """An engine for one model with greedy sampling."""

    @property
    def facts(self) -> EngineFacts:
        """How it computes."""
        ...

    def load(self, longest: int) -> None:
        """Load the model; called once, before the first prompt.

        Args:
            longest: Tokens of the longest prompt, with its longest choice where it has any.

        Raises:
            ConfigError: The model cannot be loaded.
        """
        ...

    def iter_answers(self, prompts: Sequence[Prompt]) -> Iterator[Mapping[int, EngineAnswer]]:
        """Answer prompts; yield the answers by place as they are finished.

        Raises:
            DataError: A prompt is longer than the model's context.
            MemoryError: The model and its batch do not fit.
        """
        ...

    def iter_choices(self, questions: Sequence[ChoiceQuestion]) -> Iterator[Mapping[int, ChoiceScores]]:
        """Yield by place the log-probability of each choice after its prompt.

        Raises:
            ConfigError: The engine gives no log-probabilities of given text.
            DataError: A prompt with a choice is longer than the model's context.
        """
        ...

    def close(self) -> None:
        """Release the model; called once, after the last prompt."""
        ...
