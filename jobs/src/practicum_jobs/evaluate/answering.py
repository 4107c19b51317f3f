"""The answers of one model to the rows of an evaluation: kept answers first, the others generated and kept.

The prompt of a row is rendered and encoded once, here; every engine is given token ids. Answers are looked up by
model, engine, sampling and the prompt's token ids, and each is kept when its batch ends, so that a stage which was
stopped goes on where it was.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from practicum_core.rows import Row
from practicum_core.stages.evaluate import EvaluateConfig
from practicum_jobs.adapters.answer_engine import AnswerEngine, EngineFacts
from practicum_jobs.adapters.answers_transformers import TransformersAnswers
from practicum_jobs.context import StageContext
from practicum_jobs.evaluate.models import EvaluatedModel
from practicum_jobs.models.tokens import ChatTokenizer
from practicum_jobs.storage.answers import Answer, AnswerStore, hash_tokens, open_shared_store


@dataclass(frozen=True)
class GivenAnswer:
    """An answer of this evaluation; ``is_cached`` tells that it was generated earlier."""

    answer: Answer
    is_cached: bool


@dataclass(frozen=True)
class Answers:
    """The answers of one model by split, and how they were computed.

    Attributes:
        by_split: In the order of the rows.
        facts: Of the engine.
        prompts_sha256: Of the token ids of all prompts, in the order of splits and rows.
        num_generated_tokens: Without those of kept answers.
        generate_s: Time to generate, without loading; 0 where every answer was kept.
    """

    by_split: Mapping[str, Sequence[GivenAnswer]]
    facts: EngineFacts
    prompts_sha256: str
    num_generated_tokens: int
    generate_s: float

    @property
    def everything(self) -> list[GivenAnswer]:
        """Every answer."""
        return [given for answers in self.by_split.values() for given in answers]


@dataclass(frozen=True)
class Question:
    """What an evaluation does with one model: its rows by split, and a name that tells it from the other model."""

    role: str
    rows: Mapping[str, Sequence[Row]]


def answer_rows(
    model: EvaluatedModel,
    question: Question,
    config: EvaluateConfig,
    ctx: StageContext,
    on_answered: Callable[[int], None],
) -> Answers:
    """Answer every row of every split; load the model only if an answer is missing, and release it after.

    Args:
        model: The model.
        question: The rows.
        config: Sampling, batch size, and whether answers of other runs are used.
        ctx: Checked for a stop request after every batch.
        on_answered: Called with the number of rows that were answered since the last call.

    Raises:
        DataError: The chat template refuses a row, or a prompt is too long.
        Stopped: A stop was requested.
    """
    engine: AnswerEngine = TransformersAnswers(model.folder, model.adapter, config.max_new_tokens, config.batch_size)
    tokenizer = ChatTokenizer(model.folder)
    prompts = {split: [encode_prompt(tokenizer, row) for row in rows] for split, rows in question.rows.items()}
    keys = {split: [hash_tokens(ids) for ids in encoded] for split, encoded in prompts.items()}
    store = _open_store(model, engine.facts, question.role, config, ctx)
    missing = {
        key: ids
        for split, encoded in prompts.items()
        for key, ids in zip(keys[split], encoded, strict=True)
        if store.find(ids) is None
    }
    on_answered(sum(key not in missing for split in keys for key in keys[split]))
    generate_s = _generate(engine, list(missing.values()), store, ctx, on_answered) if missing else 0.0
    by_split = {
        split: [
            GivenAnswer(_get(store, ids), is_cached=key not in missing)
            for key, ids in zip(keys[split], encoded, strict=True)
        ]
        for split, encoded in prompts.items()
    }
    return Answers(
        by_split=by_split,
        facts=engine.facts,
        prompts_sha256=_hash(keys),
        num_generated_tokens=sum(_get(store, ids).num_tokens for ids in missing.values()),
        generate_s=generate_s,
    )


def _generate(
    engine: AnswerEngine,
    prompts: Sequence[list[int]],
    store: AnswerStore,
    ctx: StageContext,
    on_answered: Callable[[int], None],
) -> float:
    """Load the model, answer the prompts and keep the answers; return the seconds that answering took."""
    ctx.raise_if_stopped()
    engine.load()
    started_s = ctx.elapsed_s
    for batch in engine.iter_answers(prompts):
        for place, answer in batch.items():
            store.keep(prompts[place], answer)
        on_answered(len(batch))
        ctx.raise_if_stopped()
    return ctx.elapsed_s - started_s


def _get(store: AnswerStore, prompt: Sequence[int]) -> Answer:
    answer = store.find(prompt)
    if answer is None:
        raise RuntimeError(f"the engine gave no answer to a prompt of {len(prompt)} tokens")
    return answer


def encode_prompt(tokenizer: ChatTokenizer, row: Row) -> list[int]:
    """Return the token ids of a row's prompt, up to where the answer begins."""
    return tokenizer.encode(tokenizer.render(row.messages, add_generation_prompt=True, tools=row.tools))


def hash_answers(sequences: Sequence[Answers]) -> str:
    """Return the SHA-256 of all answers, in the order of models, splits and rows."""
    return _hash([[given.answer.text for given in answers] for one in sequences for answers in one.by_split.values()])


def _open_store(
    model: EvaluatedModel, facts: EngineFacts, role: str, config: EvaluateConfig, ctx: StageContext
) -> AnswerStore:
    """Open the answers of all runs, or of earlier attempts of this step alone, which each model has for itself."""
    settings: dict[str, Any] = {
        "model_sha256": model.sha256,
        "engine": asdict(facts),
        "sampling": {"temperature": 0, "max_new_tokens": config.max_new_tokens},
    }
    if config.reuse_answers:
        return open_shared_store(ctx.cache_dir, settings)
    return AnswerStore(ctx.layout.root / "answers" / f"{role}-{_hash(settings)[:12]}.jsonl", settings)


def _hash(document: object) -> str:
    return hashlib.sha256(json.dumps(document, ensure_ascii=False, sort_keys=True).encode()).hexdigest()
