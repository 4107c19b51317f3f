"""transformers as the engine of an evaluation: a folder, and an adapter on top of it where one is named."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import torch
import transformers

from practicum_jobs.adapters.answer_engine import (
    ChoiceQuestion,
    ChoiceScores,
    EngineAnswer,
    EngineFacts,
    Prompt,
    hash_code,
)
from practicum_jobs.adapters.choice_scores import iter_choice_scores
from practicum_jobs.adapters.generation import LoadedModel, choose_computation, iter_answers, load_causal_lm


class TransformersAnswers:
    """A model in transformers that answers greedily, in batches of similar length.

    Args:
        folder: Of the model.
        adapter: Folder of a PEFT adapter.
        max_new_tokens: Tokens per answer at most.
        batch_size: Prompts per batch.
        dtype: Number format of the computation; ``auto`` as in :func:`load_causal_lm`.
        num_threads: Threads per operation; ``None`` for those that torch has now.
    """

    def __init__(
        self,
        folder: Path,
        adapter: Path | None,
        max_new_tokens: int,
        batch_size: int,
        dtype: str = "auto",
        num_threads: int | None = None,
    ) -> None:
        self._folder = folder
        self._adapter = adapter
        self._max_new_tokens = max_new_tokens
        self._batch_size = batch_size
        self._dtype = dtype
        self._num_threads = num_threads
        self._loaded: LoadedModel | None = None

    @property
    def facts(self) -> EngineFacts:
        """How it computes on this machine."""
        device, dtype = choose_computation(self._dtype)
        code = hash_code("adapters/answers_transformers", "adapters/generation", "adapters/choice_scores")
        version = f"transformers {transformers.__version__}, torch {torch.__version__}, code {code}"
        return EngineFacts("transformers", version, dtype, device)

    def load(self, longest: int) -> None:
        """Load model, tokenizer and adapter; the longest prompt is checked with the others."""
        del longest
        if self._num_threads is not None:
            torch.set_num_threads(self._num_threads)
        self._loaded = load_causal_lm(self._folder, self._adapter, self._dtype)

    def iter_answers(self, prompts: Sequence[Prompt]) -> Iterator[Mapping[int, EngineAnswer]]:
        """Answer batch by batch, the longest prompts first; the ids of a prompt are what the model's input held."""
        if self._loaded is None:
            raise RuntimeError("the model is not loaded")
        given = [prompt.token_ids for prompt in prompts]
        yield from iter_answers(self._loaded, given, self._max_new_tokens, self._batch_size)

    def close(self) -> None:
        """Let the model go."""
        self._loaded = None

    def iter_choices(self, questions: Sequence[ChoiceQuestion]) -> Iterator[Mapping[int, ChoiceScores]]:
        """Compute the choices of similar questions together."""
        if self._loaded is None:
            raise RuntimeError("the model is not loaded")
        yield from iter_choice_scores(self._loaded, questions, self._batch_size)
