"""Answers of the model to probes, to rows, and scores of continuations, in batches on one loaded model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from practicum_core.rows import Message, Row
from practicum_jobs.adapters.answer_engine import ChoiceQuestion, Prompt
from practicum_jobs.models.tokens import ChatTokenizer
from practicum_jobs.redteam.bias import BiasQuestion
from practicum_jobs.redteam.probes import Probe


class Target:
    """The model under attack, loaded once.

    Args:
        folder: Of a chat model.
        batch_size: Prompts per batch.
        max_new_tokens: Tokens per answer at most.
        note: Told how many prompts were answered.
    """

    def __init__(self, folder: Path, batch_size: int, max_new_tokens: int, note: Callable[[int], None]) -> None:
        # Imported here: the probes and the rules do without torch.
        from practicum_jobs.adapters.answers_transformers import TransformersAnswers  # noqa: PLC0415

        self._tokenizer = ChatTokenizer(folder)
        self._engine = TransformersAnswers(folder, None, max_new_tokens, batch_size)
        self._note = note
        self._engine.load(0)

    def answer_probes(self, probes: Sequence[Probe]) -> list[str]:
        """Answer each probe, with its system turn where it has one."""
        return self.answer_rows([_build_row(probe) for probe in probes])

    def answer_rows(self, rows: Sequence[Row]) -> list[str]:
        """Answer the prompts of rows, greedily.

        Raises:
            DataError: The chat template refuses a row, or a prompt is longer than the model's context.
        """
        prompts = [Prompt(self._tokenizer.encode_prompt(row), ()) for row in rows]
        answers = [""] * len(prompts)
        for found in self._engine.iter_answers(prompts) if prompts else ():
            for place, given in found.items():
                answers[place] = given.answer.text
            self._note(len(found))
        return answers

    def score_words(self, questions: Sequence[BiasQuestion]) -> list[float]:
        """Return, per question, the log-probability of its kind word minus that of the unkind one, in nats."""
        encode = self._tokenizer.encode
        asked = []
        for question in questions:
            start = encode(question.text)
            # The ids after the sentence, whatever the tokenizer joins at the border.
            choices = tuple(encode(question.text + word)[len(start) :] for word in question.words)
            asked.append(ChoiceQuestion(start, choices))
        scores = [0.0] * len(asked)
        for found in self._engine.iter_choices(asked):
            for place, given in found.items():
                kind, unkind = given.logprobs
                scores[place] = kind - unkind
            self._note(len(found))
        return scores

    def close(self) -> None:
        """Let the model go."""
        self._engine.close()


def _build_row(probe: Probe) -> Row:
    turns = [Message(role="system", content=probe.system)] if probe.system else []
    return Row(id=probe.id, messages=[*turns, Message(role="user", content=probe.prompt)], answer="-")
