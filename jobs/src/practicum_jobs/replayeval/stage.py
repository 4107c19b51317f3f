"""The stage ``replayeval``: sends the same traffic to one model and then to the other, and scores both."""

from __future__ import annotations

import asyncio
import os
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from practicum_core.errors import DataError, Reason
from practicum_core.metrics import Metric
from practicum_core.rows import Row
from practicum_core.stage_process import find_server_key
from practicum_core.stages.base import Failure
from practicum_core.stages.evaluate import EvaluationSample
from practicum_core.stages.replayeval import ReplayEvalConfig, ReplayEvalRecord
from practicum_jobs.context import StageContext
from practicum_jobs.datasets.store import load_split, read_data_lock
from practicum_jobs.replayeval.asking import Answered, Asking, ask_all, find_model
from practicum_jobs.replayeval.traffic import hash_times, lay_out, read_arrivals
from practicum_jobs.scoring.answers import Score
from practicum_jobs.scoring.intervals import Bootstrap, Interval, estimate_difference, estimate_share
from practicum_jobs.scoring.scorers import refuse_other_than_text, score_row

_RESAMPLES = 2000


def run(config: ReplayEvalConfig, ctx: StageContext) -> ReplayEvalRecord:
    """Ask the rows of both models at the recorded times, and score what they answer.

    A row that one of them did not answer is left out of the scores, and counted.

    Raises:
        DataError: The traffic cannot be read, the split is empty, or no row was answered by both.
        PlatformError: A server does not answer.
        Stopped: A stop was requested.
    """
    rows = load_split(ctx, config.split, config.limit)
    if not rows:
        raise DataError(f"split '{config.split}' has no rows", "name a split that has rows", Reason.DATA_MISSING)
    refuse_other_than_text(rows, "a replay")
    parts = read_arrivals(Path(ctx.resolve_uri(config.recorded, "data").removeprefix("file://")))
    times = lay_out(parts, len(rows), config.pace)
    models, given = [], []
    for number, url in enumerate((config.base_url, config.candidate_url)):
        asking = Asking(url, config.max_new_tokens, config.timeout_s, find_server_key(url, os.environ))
        models.append(find_model(asking))
        given.append(asyncio.run(_replay(asking, models[-1], (rows, times), number, ctx)))
    both = [place for place in range(len(rows)) if not any(one[place].problem for one in given)]
    if not both:
        raise DataError("no request was answered by both models", f"the first: {given[0][0].problem}")
    scored = [[score_row(rows[place], one[place].text, config.scorer) for place in both] for one in given]
    answered = [rows[place] for place in both]
    pairs = list(zip(*[[one[place] for place in both] for one in given], strict=True))
    ctx.write_samples(
        _build_sample(config.split, row, pair, scores)
        for row, pair, scores in zip(answered, pairs, zip(*scored, strict=True), strict=True)
    )
    return ReplayEvalRecord(
        num_rows=len(rows),
        models=models,
        traffic_sha256=hash_times(times),
        data_sha256=read_data_lock(ctx.run).splits[config.split].sha256,
        metrics=[*_build_scores(answered, scored, config.seed), *_build_times(given, both)],
        failures=[
            Failure(kind="unanswered", where=f"{model}: {row.id}", text=one.problem)
            for model, answers in zip(models, given, strict=True)
            for row, one in zip(rows, answers, strict=True)
            if one.problem
        ],
        **ctx.build_record_fields(),
    )


async def _replay(
    asking: Asking, model: str, requests: tuple[Sequence[Row], Sequence[float]], number: int, ctx: StageContext
) -> list[Answered]:
    """Replay the traffic to one of two models; a stop request ends it."""
    rows, times = requests
    done = 0

    def note() -> None:
        nonlocal done
        done += 1
        ctx.progress((number + done / len(rows)) / 2, f"{model}: {done} of {len(rows)} answers")

    task = asyncio.create_task(ask_all(asking, model, rows, times, note))
    while not task.done():
        await asyncio.wait({task}, timeout=0.25)
        if ctx.is_stop_requested:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            ctx.raise_if_stopped()
    return task.result()


def _build_sample(split: str, row: Row, pair: tuple[Answered, ...], scores: tuple[Score, ...]) -> EvaluationSample:
    line: dict[str, Any] = {"id": row.id, "split": split, "task": row.task, "group": row.group}
    line |= {"prompt": row.messages[-1].content, "expected": row.answer}
    for role, answer, score in zip(("base", "candidate"), pair, scores, strict=True):
        line |= {role: answer.text, f"{role}_correct": score.is_exact, f"{role}_failure": score.failure}
        line |= {f"{role}_mentioned": score.is_mentioned, f"{role}_fields": score.fields}
        line |= {f"{role}_finish": "stop" if answer.is_stopped else "length"}
        line |= {} if score.value is None else {f"{role}_score": score.value}
    return EvaluationSample(**line)


def _build_scores(rows: Sequence[Row], scored: Sequence[Sequence[Score]], seed: int) -> list[Metric]:
    groups = [row.group or f"row:{row.id}" for row in rows]
    before, after = ([bool(score.is_exact) for score in one] for one in scored)
    bootstrap = Bootstrap(_RESAMPLES, seed)
    return [
        _describe("online_right_base", estimate_share(before, groups, bootstrap)),
        _describe("online_right_tuned", estimate_share(after, groups, bootstrap)),
        _describe("online_right_delta", estimate_difference(before, after, groups, bootstrap)),
    ]


def _describe(name: str, interval: Interval) -> Metric:
    return Metric(name=name, value=interval.value, low=interval.low, high=interval.high)


def _build_times(given: Sequence[Sequence[Answered]], both: Sequence[int]) -> list[Metric]:
    late = sorted(max(one.late_s, 0.0) for answers in given for one in answers)
    medians = [statistics.median(answers[place].e2e_s for place in both) for answers in given]
    return [
        Metric(name="num_requests", value=len(late)),
        Metric(name="num_unanswered", value=sum(bool(one.problem) for answers in given for one in answers)),
        Metric(name="late_p99_s", value=round(late[min(int(0.99 * len(late)), len(late) - 1)], 4), unit="s"),
        Metric(name="e2e_p50_base_s", value=round(medians[0], 4), unit="s"),
        Metric(name="e2e_p50_tuned_s", value=round(medians[1], 4), unit="s"),
    ]
