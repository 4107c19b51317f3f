"""A judge model in this process: of A, B and C (a tie), the letter that it finds most probable. It needs no server.

It can neither refuse nor write prose; whether it understands anything is what the calibration tells.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Generator, Sequence
from pathlib import Path

from practicum_core.errors import ConfigError
from practicum_core.rows import Message, Row
from practicum_jobs.judge.pairs import Judgement, Question, Verdict
from practicum_jobs.judge.prompts import RULES, build_messages, write_instructions
from practicum_jobs.models.tokens import ChatTokenizer

_PREFIX = "Verdict:"
_LETTERS: dict[str, Verdict] = {" A": "first", " B": "second", " C": "tie"}


class LocalJudge:
    """Scores the three verdicts after the same questions that a judge at an address is asked.

    Args:
        folder: Of a chat model.
        name: Of the model, for the record: its URI and hash.
        batch_size: Questions computed at once.
        show_reference: Whether the judge sees the expected answer.
    """

    def __init__(self, folder: Path, name: str, batch_size: int, *, show_reference: bool) -> None:
        self._folder = folder
        self._name = name
        self._batch_size = batch_size
        self._show_reference = show_reference

    @property
    def identity(self) -> str:
        """The model and what changes its verdicts."""
        shown = "with" if self._show_reference else "without"
        return f"model {self._name} by log-probability, {shown} reference"

    @property
    def instructions(self) -> str:
        """The instructions in each language."""
        return json.dumps([write_instructions(language, "letter") for language in sorted(RULES)], ensure_ascii=False)

    def judge(self, questions: Sequence[Question]) -> Generator[tuple[Question, Judgement]]:
        """Answer the questions batch by batch; of equal probabilities the first letter counts.

        Raises:
            ConfigError: The model cannot be loaded, or its tokenizer does not tell the letters apart.
            DataError: The chat template refuses a question, or a question is longer than the model's context.
        """
        if not questions:
            return
        # Imported here: a run that asks no local model does without torch.
        from practicum_jobs.adapters.generation import load_causal_lm  # noqa: PLC0415
        from practicum_jobs.adapters.next_token import iter_next_logprobs  # noqa: PLC0415

        tokenizer = ChatTokenizer(self._folder)
        shared, tokens = self._find_tokens(tokenizer)
        prompts = [self._encode(tokenizer, question) + shared for question in questions]
        for found in iter_next_logprobs(load_causal_lm(self._folder), prompts, tokens, self._batch_size):
            for place, logprobs in found.items():
                letter = list(_LETTERS)[logprobs.index(max(logprobs))]
                text = ", ".join(f"{one.strip()} {value:.3f}" for one, value in zip(_LETTERS, logprobs, strict=True))
                yield questions[place], Judgement(_LETTERS[letter], text=text)

    def _encode(self, tokenizer: ChatTokenizer, question: Question) -> list[int]:
        turns = build_messages(question, form="letter", show_reference=self._show_reference)
        messages = [Message.model_validate(turn) for turn in turns]
        row = Row(id=question.id, messages=messages, answer="-")
        return tokenizer.encode(tokenizer.render(row.messages, add_generation_prompt=True) + _PREFIX)

    def _find_tokens(self, tokenizer: ChatTokenizer) -> tuple[list[int], list[int]]:
        """Return the tokens after the prefix that the letters share, such as a space, and then that of each letter."""
        start = tokenizer.encode(_PREFIX)
        encoded = [tokenizer.encode(_PREFIX + letter) for letter in _LETTERS]
        same = itertools.takewhile(lambda ids: len(set(ids)) == 1, zip(*encoded, strict=False))
        shared = [ids[0] for ids in same]
        tokens = [ids[len(shared)] for ids in encoded if len(ids) > len(shared)]
        if shared[: len(start)] != start or len(set(tokens)) < len(_LETTERS):
            raise ConfigError(
                f"{self._name}: its tokenizer does not tell A, B and C apart by one token",
                "name another judge.local_model",
            )
        return shared[len(start) :], tokens
