"""The stage ``evaluate``: gets answers, scores them and writes samples and metrics."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from practicum_core.errors import DataError, Reason
from practicum_core.metrics import Metric
from practicum_core.rows import Row
from practicum_core.stages.evaluate import EvaluateConfig, EvaluateRecord
from practicum_core.stages.prompts import PromptCheck
from practicum_jobs.adapters.answer_engine import REMOTE
from practicum_jobs.context import StageContext
from practicum_jobs.datasets.store import load_split, read_data_lock
from practicum_jobs.evaluate.answering import Answers, Question, answer_rows, hash_answers
from practicum_jobs.evaluate.measures import (
    Scored,
    Statistics,
    build_control_metrics,
    build_failures,
    build_metrics,
    build_samples,
)
from practicum_jobs.evaluate.models import EvaluatedModel, ensure_evaluated_model
from practicum_jobs.evaluate.repetition import add_repeated, repeat_answers
from practicum_jobs.scoring.intervals import Bootstrap
from practicum_jobs.scoring.power import ASSUMED_CORRELATION, Design, Power, plan_smallest_detectable
from practicum_jobs.scoring.scorers import score_row
from practicum_jobs.training.facts import count_threads

PROGRESS_PERIOD_S = 1.0


def run(config: EvaluateConfig, ctx: StageContext) -> EvaluateRecord:
    """Score the base model, and the candidate if one is named, on a split of the run's data.

    Raises:
        ConfigError: A model does not exist or cannot be loaded.
        DataError: A split is missing or empty.
        Stopped: A stop was requested.
    """
    rows = _load_rows(config, ctx)
    base = ensure_evaluated_model(config.model, None, config.tokenizer, ctx)
    candidate = ensure_evaluated_model(config.candidate, base, config.tokenizer, ctx) if config.candidate else None
    models = {"base": base} if candidate is None else {"base": base, "candidate": candidate}
    planned = _plan(rows[config.split], config) if candidate else []
    answers = _answer_all(models, rows, config, ctx)
    again = repeat_answers(base, rows[config.split], config, ctx, lambda _: None)
    scored = {split: _score(split, rows[split], answers, config) for split in rows}
    statistics = Statistics(config.confidence, Bootstrap(config.bootstrap_resamples, config.seed))
    samples = {
        split: build_samples(split, one, [given.by_split[split] for given in answers]) for split, one in scored.items()
    }
    samples[config.split] = add_repeated(samples[config.split], rows[config.split], again, config)
    ctx.write_samples(one for given in samples.values() for one in given)
    lock = read_data_lock(ctx.run)
    check = _check_prompts(answers)
    control = scored.get(config.control_split) if config.control_split else None
    return EvaluateRecord(
        num_rows=len(rows[config.split]),
        num_control_rows=len(control.rows) if control else 0,
        model=config.model,
        candidate=config.candidate,
        data_sha256=lock.splits[config.split].sha256,
        control_sha256=lock.splits[config.control_split].sha256 if config.control_split else "",
        model_sha256=base.sha256,
        candidate_sha256=candidate.sha256 if candidate else "",
        predictions_sha256=hash_answers(answers),
        prompts_sha256=answers[0].prompts_sha256,
        candidate_prompts_sha256=answers[1].prompts_sha256 if candidate else "",
        sampling=f"greedy, at most {config.max_new_tokens} new tokens",
        scorer=config.scorer,
        engine=answers[0].facts.name,
        dtype=answers[0].facts.dtype,
        device=answers[0].facts.device,
        num_threads=count_threads(1),
        metrics=[
            *build_metrics(scored[config.split], statistics),
            *planned,
            *(build_control_metrics(control, statistics) if control else []),
            *_build_pace_metrics(answers),
        ],
        failures=build_failures(scored[config.split]),
        prompt_check=check,
        notes=_note_prompts(answers, check),
        **ctx.build_record_fields(),
    )


def _load_rows(config: EvaluateConfig, ctx: StageContext) -> dict[str, list[Row]]:
    wanted = {config.split: config.limit}
    if config.control_split and config.control_split != config.split:
        wanted[config.control_split] = config.control_limit
    rows = {split: load_split(ctx, split, limit) for split, limit in wanted.items()}
    for split, found in rows.items():
        if not found:
            raise DataError(f"split '{split}' has no rows", "name a split that has rows", Reason.DATA_MISSING)
    return rows


def _plan(rows: Sequence[Row], config: EvaluateConfig) -> list[Metric]:
    """Say before any answer which difference these rows can show, if a quarter of them is answered differently."""
    groups = {row.group or f"row:{row.id}" for row in rows}
    smallest = plan_smallest_detectable(
        Design(len(rows), len(groups), ASSUMED_CORRELATION), Power(alpha=1 - config.confidence)
    )
    if math.isinf(smallest):
        return []
    told = f"{len(rows)} rows of {len(groups)} templates: a difference from about {smallest:.2f} on will be seen"
    print(told, flush=True)  # noqa: T201 - the log of the step tells it before the run
    return [Metric(name="planned_detectable", value=min(smallest, 1.0))]


def _answer_all(
    models: Mapping[str, EvaluatedModel], rows: Mapping[str, Sequence[Row]], config: EvaluateConfig, ctx: StageContext
) -> list[Answers]:
    total = len(models) * sum(map(len, rows.values()))
    done = 0
    told_s = -math.inf

    def note(answered: int) -> None:
        """Publish the progress now and then: each time it is written through to the disk, and the engine waits."""
        nonlocal done, told_s
        done += answered
        if done == total or ctx.elapsed_s - told_s >= PROGRESS_PERIOD_S:
            told_s = ctx.elapsed_s
            ctx.progress(done / total, f"{done} of {total} answers")

    return [answer_rows(model, Question(role, rows), config, ctx, note) for role, model in models.items()]


def _score(split: str, rows: Sequence[Row], answers: Sequence[Answers], config: EvaluateConfig) -> Scored:
    base, *others = (
        [
            score_row(row, given.answer.text, config.scorer, may_run_code=config.run_code)
            for row, given in zip(rows, one.by_split[split], strict=True)
        ]
        for one in answers
    )
    return Scored(rows, base, others[0] if others else None)


def _check_prompts(answers: Sequence[Answers]) -> PromptCheck:
    """Count the prompts whose token ids the engine showed; one that showed others has ended the stage."""
    everything = [given.answer for one in answers for given in one.everything]
    num_shown = sum(answer.is_prompt_shown for answer in everything)
    return PromptCheck(num_prompts=len(everything), num_same=num_shown, num_not_shown=len(everything) - num_shown)


def _note_prompts(answers: Sequence[Answers], check: PromptCheck) -> list[str]:
    notes = []
    if len({one.prompts_sha256 for one in answers}) > 1:
        notes.append("base and candidate were given other prompt token ids: their tokenizers or chat templates differ")
    if check.num_not_shown:
        notes.append(
            f"{check.num_not_shown} of {check.num_prompts} prompts: prompt token ids not shown by the engine"
            f" ({answers[0].facts.version}), so a chat template applied twice or not at all would not be seen"
        )
    if answers[0].facts.device == REMOTE:
        notes.append("the answers came from a server; that it serves the files of the named model is not shown")
    return notes


def _build_pace_metrics(answers: Sequence[Answers]) -> list[Metric]:
    everything = [given for one in answers for given in one.everything]
    num_generated = sum(not given.is_cached for given in everything)
    num_tokens = sum(one.num_generated_tokens for one in answers)
    seconds = sum(one.generate_s for one in answers)
    final = [given.answer for given in answers[-1].everything]
    metrics = [
        Metric(name="stopped_ratio", value=sum(answer.is_stopped for answer in final) / len(final)),
        Metric(name="mean_answer_tokens", value=sum(answer.num_tokens for answer in final) / len(final)),
        Metric(name="prompts_not_shown", value=sum(not given.answer.is_prompt_shown for given in everything)),
        Metric(name="answers_cached", value=len(everything) - num_generated),
        Metric(name="generate_s", value=round(seconds, 3), unit="s"),
    ]
    if not num_generated:
        return metrics
    return [
        *metrics,
        Metric(name="rows_per_s", value=round(num_generated / seconds, 3), unit="rows/s"),
        Metric(name="tokens_per_s", value=round(num_tokens / seconds, 3), unit="tokens/s"),
    ]
