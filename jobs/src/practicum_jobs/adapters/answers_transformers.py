"""transformers as the engine of an evaluation: a folder, and an adapter on top of it where one is named."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import torch
import transformers

from practicum_jobs.adapters.answer_engine import ChoiceQuestion, EngineFacts
from practicum_jobs.adapters.choice_scores import iter_choice_scores
from practicum_jobs.adapters.generation import LoadedModel, choose_computation, iter_answers, load_causal_lm
from practicum_jobs.storage.answers import Answer


class TransformersAnswers:
    """A model in transformers that answers greedily, in batches of similar length.

    Args:
        folder: Of the model.
        adapter: Folder of a PEFT adapter.
        max_new_tokens: Tokens per answer at most.
        batch_size: Prompts per batch.
    """

    def __init__(self, folder: Path, adapter: Path | None, max_new_tokens: int, batch_size: int) -> None:
        self._folder = folder
        self._adapter = adapter
        self._max_new_tokens = max_new_tokens
        self._batch_size = batch_size
        self._loaded: LoadedModel | None = None

    @property
    def facts(self) -> EngineFacts:
        """How it computes on this machine."""
        device, dtype = choose_computation()
        version = f"transformers {transformers.__version__}, torch {torch.__version__}"
        return EngineFacts("transformers", version, dtype, device)

    def load(self) -> None:
        """Load model, tokenizer and adapter."""
        self._loaded = load_causal_lm(self._folder, self._adapter)

    def iter_answers(self, prompts: Sequence[list[int]]) -> Iterator[Mapping[int, Answer]]:
        """Answer batch by batch, the longest prompts first."""
        if self._loaded is None:
            raise RuntimeError("the model is not loaded")
        yield from iter_answers(self._loaded, prompts, self._max_new_tokens, self._batch_size)

    def iter_choices(self, questions: Sequence[ChoiceQuestion]) -> Iterator[Mapping[int, tuple[float, ...]]]:
        """Compute the choices of similar questions together."""
        if self._loaded is None:
            raise RuntimeError("the model is not loaded")
        yield from iter_choice_scores(self._loaded, questions, self._batch_size)
