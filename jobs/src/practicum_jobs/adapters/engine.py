"""The interface of an inference engine, the same for every engine: token ids in, timed token ids out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

Conversation = Sequence[Mapping[str, Any]]
"""Turns with ``role`` and ``content``, the last one of the user."""


@dataclass(frozen=True)
class TimedAnswer:
    """An answer with its times, in seconds of the monotonic clock.

    Attributes:
        token_ids: Generated, the stop token included where there is one.
        prompt_token_ids: Of the prompt, as the engine says that it processed them, never as they were handed to it;
            ``None`` where it does not say.
        start_s: The request was made.
        first_s: The first token came.
        end_s: The last token came.
    """

    token_ids: Sequence[int]
    prompt_token_ids: Sequence[int] | None
    start_s: float
    first_s: float
    end_s: float

    @property
    def ttft_s(self) -> float:
        """Time to the first token."""
        return self.first_s - self.start_s

    @property
    def tpot_s(self) -> float | None:
        """Time per token after the first; ``None`` for an answer of one token."""
        count = len(self.token_ids) - 1
        return (self.end_s - self.first_s) / count if count > 0 else None


@dataclass(frozen=True)
class EngineSettings:
    """How an engine is loaded.

    Attributes:
        path: Folder or GGUF file.
        stop_ids: Tokens that end an answer.
        max_new_tokens: Tokens at most per answer.
        context_size: Tokens of a prompt with its answer, at most.
        concurrency: Requests at the same time, at most.
        num_threads: Threads per operation.
        dtype: Number format of the computation, where the engine lets one choose.
        has_prefix_cache: Whether what prompts have in common is computed once, where the engine can do that.
    """

    path: Path
    stop_ids: Sequence[int]
    max_new_tokens: int
    context_size: int
    concurrency: int
    num_threads: int
    dtype: str = "bfloat16"
    has_prefix_cache: bool = False


class Engine(Protocol):
    """A loaded model."""

    @property
    def kernel(self) -> str:
        """What computes the layers, as the engine names it."""
        ...

    @property
    def has_logits(self) -> bool:
        """Whether the logits of a whole text can be had."""
        ...

    def answer(self, prompts: Sequence[Sequence[int]], concurrency: int) -> list[TimedAnswer]:
        """Answer prompts greedily, ``concurrency`` of them at the same time; answers in the order of the prompts."""
        ...

    def iter_answers(self, prompts: Sequence[Sequence[int]], concurrency: int) -> Iterator[tuple[int, TimedAnswer]]:
        """Answer prompts greedily; yield each answer with the place of its prompt as soon as it is finished."""
        ...

    def read_conversations(self, conversations: Sequence[Conversation]) -> list[Sequence[int] | None]:
        """Return the prompt token ids that the engine itself makes of conversations, by the chat template in the files.

        This is what a user of the engine's chat endpoint gets. ``None`` where the engine does not show them.
        """
        ...

    def close(self) -> None:
        """Release the memory of the model; nothing can be asked after that."""
        ...

    def compute_logits(self, token_ids: Sequence[int]) -> npt.NDArray[np.float32]:
        """Return the logits after each token, shape (T, V)."""
        ...


def sort_answers(answers: Iterator[tuple[int, TimedAnswer]]) -> list[TimedAnswer]:
    """Return answers in the order of their prompts."""
    return [answer for _, answer in sorted(answers, key=lambda pair: pair[0])]
