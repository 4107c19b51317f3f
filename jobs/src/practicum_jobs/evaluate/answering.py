"""The answers of one model to the rows of an evaluation: kept answers first, the others generated and kept.

The prompt of a row is rendered and encoded once, here; every engine is given token ids. Answers are looked up by
model, engine, sampling and the prompt's token ids, and each is kept when its batch ends, so that a stage which was
stopped goes on where it was.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from practicum_core.content_hash import hash_path
from practicum_core.errors import DataError
from practicum_core.rows import Row
from practicum_core.scorers import ChoiceScorer
from practicum_core.stages.evaluate import EvaluateConfig
from practicum_jobs.adapters.answer_engine import (
    REMOTE,
    AnswerEngine,
    ChoiceQuestion,
    ChoiceScores,
    EngineAnswer,
    EngineFacts,
    Prompt,
)
from practicum_jobs.context import StageContext
from practicum_jobs.evaluate.engines import build_engine
from practicum_jobs.evaluate.models import EvaluatedModel
from practicum_jobs.models.prompts import compare_prompts
from practicum_jobs.models.stop_tokens import read_stop_ids
from practicum_jobs.models.tokens import ChatTokenizer
from practicum_jobs.storage.answers import Answer, AnswerStore, hash_tokens, open_shared_store

_TOKEN_ENGINES = frozenset({"vllm", "llama_cpp"})
"""Engines that are told the stop tokens of the tokenizer's folder; transformers has those of the model's."""
_CHOICE = -1
_CHOICE_PER_BYTE = -2


@dataclass(frozen=True)
class GivenAnswer:
    """An answer of this evaluation.

    Attributes:
        answer: The answer.
        prompt_sha256: Of the token ids that the model was given.
        is_cached: Whether it was generated earlier.
    """

    answer: Answer
    prompt_sha256: str
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
class Query:
    """What the model is asked for one row; ``scorer`` is there where it chooses among ``choices``, as token ids."""

    prompt: Prompt
    scorer: ChoiceScorer | None = None
    choices: tuple[tuple[int, ...], ...] = ()

    @property
    def key(self) -> tuple[int, ...]:
        """What a kept answer is found by: the prompt, and the choices after separators that are no token ids."""
        per_byte = self.scorer is not None and self.scorer.per_byte
        separator = _CHOICE_PER_BYTE if per_byte else _CHOICE
        more = (token for choice in self.choices for token in (separator, *choice))
        return (*self.prompt.token_ids, *more)

    @property
    def num_tokens(self) -> int:
        """Tokens of the prompt with its longest choice."""
        return len(self.prompt.token_ids) + max(map(len, self.choices), default=0)

    def choose(self, logprobs: Sequence[float]) -> Answer:
        """Return the most probable choice as the answer; the first of those that are equal."""
        texts = self.scorer.choices if self.scorer else ()
        per_byte = self.scorer is not None and self.scorer.per_byte
        sizes = [len(text.encode()) if per_byte else 1 for text in texts]
        graded = [logprob / size for logprob, size in zip(logprobs, sizes, strict=True)]
        return Answer(texts[graded.index(max(graded))], 0, is_stopped=True)


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
    tokenizer = ChatTokenizer(model.tokenizer)
    engine = build_engine(model, tokenizer, question.role, config)
    queries = {split: [build_query(tokenizer, row) for row in rows] for split, rows in question.rows.items()}
    store = _open_store(
        build_settings(model, tokenizer, engine.facts, config), engine.facts, question.role, config, ctx
    )
    missing = {query.key: query for asked in queries.values() for query in asked if store.find(query.key) is None}
    on_answered(sum(query.key not in missing for asked in queries.values() for query in asked))
    generate_s = _generate(engine, list(missing.values()), store, ctx, on_answered) if missing else 0.0
    by_split = {
        split: [
            GivenAnswer(_get(store, query), hash_tokens(query.key), is_cached=query.key not in missing)
            for query in asked
        ]
        for split, asked in queries.items()
    }
    return Answers(
        by_split=by_split,
        facts=engine.facts,
        prompts_sha256=_hash([given.prompt_sha256 for answers in by_split.values() for given in answers]),
        num_generated_tokens=sum(_get(store, query).num_tokens for query in missing.values()),
        generate_s=generate_s,
    )


def build_query(tokenizer: ChatTokenizer, row: Row) -> Query:
    """Render and encode a row's prompt up to where the answer begins, and the choices that may follow."""
    prompt = Prompt(tokenizer.encode_prompt(row), [turn.build_turn() for turn in row.messages], row.tools)
    if not isinstance(row.scorer, ChoiceScorer):
        return Query(prompt)
    return Query(prompt, row.scorer, tuple(tuple(tokenizer.encode(choice)) for choice in row.scorer.choices))


def _generate(
    engine: AnswerEngine,
    queries: Sequence[Query],
    store: AnswerStore,
    ctx: StageContext,
    on_answered: Callable[[int], None],
) -> float:
    """Load the model, answer the queries and keep the answers; return the seconds that answering took.

    Raises:
        DataError: The engine processed other token ids than those that were meant.
    """
    ctx.raise_if_stopped()
    open_ended = [query for query in queries if query.scorer is None]
    choices = [query for query in queries if query.scorer is not None]
    engine.load(max(query.num_tokens for query in queries))
    try:
        started_s = ctx.elapsed_s
        for batch in engine.iter_answers([query.prompt for query in open_ended]) if open_ended else ():
            checked = {open_ended[place].key: check_prompt(open_ended[place], given) for place, given in batch.items()}
            _keep(store, checked, on_answered)
            ctx.raise_if_stopped()
        asked = [ChoiceQuestion(query.prompt.token_ids, tuple(map(list, query.choices))) for query in choices]
        for scores in engine.iter_choices(asked) if asked else ():
            chosen = {choices[place].key: check_choice(choices[place], found) for place, found in scores.items()}
            _keep(store, chosen, on_answered)
            ctx.raise_if_stopped()
        return ctx.elapsed_s - started_s
    finally:
        engine.close()


def check_prompt(query: Query, given: EngineAnswer) -> Answer:
    """Return the answer, which says whether the engine showed that it processed the prompt that was meant.

    Raises:
        DataError: It showed other token ids.
    """
    return replace(given.answer, is_prompt_shown=_is_shown([query.prompt.token_ids], [given.prompt_token_ids]))


def check_choice(query: Query, scores: ChoiceScores) -> Answer:
    """Return the choice; raises as :func:`check_prompt` does, over the prompt with each choice."""
    meant = [[*query.prompt.token_ids, *choice] for choice in query.choices]
    return replace(query.choose(scores.logprobs), is_prompt_shown=_is_shown(meant, scores.token_ids))


def _is_shown(meant: Sequence[Sequence[int]], processed: Sequence[Sequence[int] | None]) -> bool:
    check = compare_prompts(meant, processed)
    if check.num_different:
        raise DataError(
            f"the engine processed other token ids than the model's own chat template gives: {check.first_difference}",
            "give both the same chat template and tokenizer; a template applied twice, or not at all, looks like this",
        )
    return check.is_shown


def _keep(store: AnswerStore, answers: Mapping[tuple[int, ...], Answer], on_answered: Callable[[int], None]) -> None:
    for key, answer in answers.items():
        store.keep(key, answer)
    on_answered(len(answers))


def _get(store: AnswerStore, query: Query) -> Answer:
    answer = store.find(query.key)
    if answer is None:
        raise RuntimeError(f"the engine gave no answer to a prompt of {query.num_tokens} tokens")
    return answer


def hash_answers(sequences: Sequence[Answers]) -> str:
    """Return the SHA-256 of all answers, in the order of models, splits and rows."""
    return _hash([[given.answer.text for given in answers] for one in sequences for answers in one.by_split.values()])


def build_settings(
    model: EvaluatedModel, tokenizer: ChatTokenizer, facts: EngineFacts, config: EvaluateConfig
) -> dict[str, Any]:
    """Return what an answer depends on beside its prompt.

    The tokenizer may be another folder's than the model. It makes text of token ids, and its folder names the tokens
    that end an answer; a server does both itself.
    """
    settings: dict[str, Any] = {
        "model_sha256": model.sha256,
        "engine": asdict(facts),
        "sampling": {"temperature": 0, "max_new_tokens": config.max_new_tokens},
    }
    if facts.device != REMOTE:
        settings["tokenizer_sha256"] = hash_path(model.tokenizer / "tokenizer.json")
    if facts.name in _TOKEN_ENGINES:
        settings["stop_ids"] = sorted(read_stop_ids(model.tokenizer, tokenizer))
    return settings


def _open_store(
    settings: Mapping[str, Any], facts: EngineFacts, role: str, config: EvaluateConfig, ctx: StageContext
) -> AnswerStore:
    """Open the answers of all runs, or of earlier attempts of this step alone, which each model has for itself."""
    # Nobody knows when a server changes its model: its answers serve the attempts of one run only.
    if config.reuse_answers and facts.device != REMOTE:
        return open_shared_store(ctx.cache_dir, settings)
    return AnswerStore(ctx.layout.root / "answers" / f"{role}-{_hash(settings)[:12]}.jsonl", settings)


def _hash(document: object) -> str:
    return hashlib.sha256(json.dumps(document, ensure_ascii=False, sort_keys=True).encode()).hexdigest()
