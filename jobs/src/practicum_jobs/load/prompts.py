"""Prompts of a load test: rows of the run's data, or generated words of given lengths. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from practicum_core.rows import Row

_WORDS = (
    "the of and to in is that it was for on are as with they at be this from have or one had by but not what all "
    "were we when your can said there use an each which she do how their if will up other about out many then them "
    "these so some her would make like him into time has look two more write go see number no way could people my "
    "than first water been call who its now find long down day did get come made may part"
)
"""Frequent English words; common tokenizers make one token of each."""


@dataclass(frozen=True)
class Prompt:
    """Messages of one request. ``num_words`` is 0 where it was not made to a length."""

    messages: tuple[dict[str, Any], ...]
    num_words: int = 0

    @property
    def text(self) -> str:
        """The contents of all turns, for ``/v1/completions``."""
        return "\n".join(str(turn.get("content") or "") for turn in self.messages)


def build_row_prompts(rows: Sequence[Row]) -> list[Prompt]:
    """Build prompts of rows of data."""
    return [Prompt(tuple(message.build_turn() for message in row.messages)) for row in rows]


def draw_lengths(mean: int, spread: float, num: int, rng: np.random.Generator) -> list[int]:
    """Draw lengths around a mean: log-normal with that mean, or all equal without a spread.

    >>> draw_lengths(10, 0.0, 3, np.random.default_rng(0))
    [10, 10, 10]
    """
    if not spread:
        return [mean] * num
    drawn = rng.lognormal(np.log(mean) - spread**2 / 2, spread, num)
    return [max(1, round(one)) for one in drawn]


def write_prompt(num_words: int, rng: np.random.Generator) -> Prompt:
    """Write a prompt of so many random words; two of them share no beginning that a prefix cache could use."""
    words = _WORDS.split()
    chosen = [words[place] for place in rng.integers(0, len(words), num_words)]
    return Prompt(({"role": "user", "content": " ".join(chosen)},), num_words)
