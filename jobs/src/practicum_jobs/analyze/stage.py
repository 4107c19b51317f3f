"""The stage ``analyze``: reads the samples of an evaluation and writes ``failures.jsonl``."""

from __future__ import annotations

import json
from collections.abc import Sequence

from practicum_core.atomic import write_text_atomic
from practicum_core.metrics import Metric
from practicum_core.name_lists import name_first
from practicum_core.stages.analyze import FAILURES_NAME, AnalyzeConfig, AnalyzeRecord, Cause, FailureCase
from practicum_core.stages.base import Failure
from practicum_jobs.analyze.cases import Outcome, build_cases, build_samples, list_outcomes
from practicum_jobs.analyze.neighbours import TrainingIndex
from practicum_jobs.context import StageContext
from practicum_jobs.datasets.store import load_split
from practicum_jobs.scoring.evaluation_samples import read_evaluation_samples, resolve_samples, write_prompt

_MAX_NAMED = 8


def run(config: AnalyzeConfig, ctx: StageContext) -> AnalyzeRecord:
    """Group the wrong answers by cause and link each to its nearest training rows. No failure is a result too.

    Raises:
        ConfigError: The samples are named in a way that no file has.
        DataError: The samples or the training rows cannot be read.
    """
    outcomes = list_outcomes(read_evaluation_samples(resolve_samples(config.samples, ctx)))
    cases = build_cases(outcomes)
    ctx.progress(0.4, "causes found")
    ctx.raise_if_stopped()
    cases = _link(cases, outcomes, config, ctx)
    path = ctx.layout.root / FAILURES_NAME
    lines = (json.dumps(case.model_dump(mode="json"), ensure_ascii=False) for case in cases)
    write_text_atomic(path, "".join(f"{line}\n" for line in lines))
    ctx.write_samples(build_samples(outcomes, cases))
    changes = [one.change for one in outcomes]
    return AnalyzeRecord(
        **ctx.build_record_fields(),
        num_rows=len(outcomes),
        num_failures=len(cases),
        num_fixes=changes.count("fix"),
        num_regressions=changes.count("regression"),
        failures_file=path.relative_to(ctx.run.root).as_posix(),
        train_split=config.train_split,
        metrics=_count(cases, outcomes),
        failures=_list_failures(cases, len(outcomes)),
        artifacts=[ctx.describe_artifact(path, "failures with causes")],
        notes=[] if cases else ["no answer failed: there is nothing to repair"],
    )


def _link(
    cases: list[FailureCase], outcomes: Sequence[Outcome], config: AnalyzeConfig, ctx: StageContext
) -> list[FailureCase]:
    if not cases or config.train_split is None:
        return cases
    rows = load_split(ctx, config.train_split, config.max_train_rows)
    prompts = {(one.sample.split, one.sample.id): write_prompt(one.sample.prompt) for one in outcomes}
    found = TrainingIndex(rows).find([prompts[case.split, case.id] for case in cases], config.neighbours)
    return [case.model_copy(update={"nearest": nearest}) for case, nearest in zip(cases, found, strict=True)]


def _count(cases: Sequence[FailureCase], outcomes: Sequence[Outcome]) -> list[Metric]:
    changes = [one.change for one in outcomes]
    counts = {
        "failed_answers": len(cases),
        "fixed_answers": changes.count("fix"),
        "regressed_answers": changes.count("regression"),
        **{f"cause_{cause}": sum(case.cause is cause for case in cases) for cause in Cause},
    }
    return [Metric(name=name, value=value) for name, value in counts.items()]


def _list_failures(cases: Sequence[FailureCase], num_rows: int) -> list[Failure]:
    by_cause = {cause: [case.id for case in cases if case.cause is cause] for cause in Cause}
    ranked = sorted(((cause, ids) for cause, ids in by_cause.items() if ids), key=lambda item: -len(item[1]))
    return [
        Failure(
            kind=str(cause),
            where=name_first(ids, _MAX_NAMED),
            text=f"{len(ids)} of {num_rows} answers",
        )
        for cause, ids in ranked
    ]
