"""The stage ``compare``: reads the answers of two models to the same items and writes the verdicts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from practicum_core.errors import DataError
from practicum_core.metrics import Metric
from practicum_core.problems import list_problems
from practicum_core.stages.base import Failure
from practicum_core.stages.compare import CompareConfig, CompareRecord, ItemSlice, TaskVerdict
from practicum_jobs.compare.outcomes import Questions, build_questions_of_files, build_questions_of_samples
from practicum_jobs.context import StageContext
from practicum_jobs.scoring.evaluation_samples import read_evaluation_samples, resolve_samples
from practicum_jobs.scoring.intervals import Bootstrap, Interval
from practicum_jobs.scoring.multiplicity import Correction
from practicum_jobs.scoring.noise import NoiseFloor, measure_noise
from practicum_jobs.scoring.paired import PairedOutcomes, bootstrap_bca, permute_signs, run_mcnemar
from practicum_jobs.scoring.power import Power
from practicum_jobs.scoring.result_files import pair_results, read_results
from practicum_jobs.scoring.verdicts import Rule, Verdict, VerdictKind, VerdictReason, decide, decide_tasks

_EMPTY_SLICE = Failure(
    kind="empty_slice",
    where="slice",
    text="no fresh row of the failing slice: whether it improved cannot be told; evaluate more rows of its groups",
)


@dataclass(frozen=True)
class Comparison:
    """One question with its outcomes and its verdict."""

    name: str
    outcomes: PairedOutcomes
    verdict: Verdict


def run(config: CompareConfig, ctx: StageContext) -> CompareRecord:
    """Decide whether the candidate is better: on the whole split, on each task, and on the control split.

    The whole split and the slice are one hypothesis each, named before any answer, and their p-values are not adjusted;
    those of the tasks are adjusted together.

    Raises:
        ConfigError: The samples are named in a way that no file has.
        DataError: The samples cannot be read, hold the answers of one model only, or the two files do not align.
    """
    questions = _read_questions(config, ctx)
    ctx.progress(0.1, "answers paired")
    noise = measure_noise(questions.repeated, config.confidence) if questions.repeated else None
    rule = Rule(
        power=Power(alpha=1 - config.confidence, power=config.power),
        margin=config.margin,
        bootstrap=Bootstrap(config.num_resamples, config.seed),
        correction=Correction(config.correction),
        noise_floor=noise.floor if noise else 0.0,
    )
    whole = Comparison(questions.split, questions.whole, decide(questions.whole, rule))
    ctx.raise_if_stopped()
    decided = decide_tasks(questions.tasks, rule) if questions.tasks else {}
    tasks = [
        Comparison(f"{questions.split}/{name}", questions.tasks[name], verdict) for name, verdict in decided.items()
    ]
    control = Comparison("control", questions.control, decide(questions.control, rule)) if questions.control else None
    part = Comparison("slice", questions.part, decide(questions.part, rule)) if questions.part else None
    comparisons = [one for one in (whole, part, *tasks, control) if one is not None]
    return CompareRecord(
        **ctx.build_record_fields(),
        verdict=whole.verdict.kind.value,
        control_verdict=control.verdict.kind.value if control else None,
        slice_verdict=part.verdict.kind.value if part else None,
        verdicts=[_describe(one, rule) for one in comparisons],
        metrics=[
            *_build_metrics(questions, whole, tasks),
            *(_build_slice_metrics(part) if part or questions.is_part_missing else []),
            *(_build_control_metrics(control) if control else []),
            *(_describe_noise(noise) if noise else []),
        ],
        failures=[
            *([_EMPTY_SLICE] if questions.is_part_missing else []),
            *(_explain(one, config) for one in comparisons if one.verdict.kind is not VerdictKind.IMPROVED),
        ],
    )


def _read_questions(config: CompareConfig, ctx: StageContext) -> Questions:
    samples = resolve_samples(config.samples, ctx)
    part = _read_slice(config, ctx)
    if config.candidate_samples is None:
        return build_questions_of_samples(read_evaluation_samples(samples), part)
    candidate = resolve_samples(config.candidate_samples, ctx)
    return build_questions_of_files(pair_results(read_results(samples), read_results(candidate)), part)


def _read_slice(config: CompareConfig, ctx: StageContext) -> ItemSlice | None:
    if config.item_slice is None:
        return None
    path = Path(ctx.resolve_uri(config.item_slice, "data").removeprefix("file://"))
    try:
        return ItemSlice.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        why = list_problems(error)[0] if isinstance(error, ValidationError) else error.strerror
        raise DataError(f"{path}: {why}", 'give a JSON file such as {"groups": ["NAME"], "tasks": []}') from error


def _describe(one: Comparison, rule: Rule) -> TaskVerdict:
    verdict, outcomes = one.verdict, one.outcomes
    bootstrap = bootstrap_bca(outcomes, rule.bootstrap, 1 - rule.power.alpha)
    return TaskVerdict(
        name=one.name,
        verdict=verdict.kind.value,
        num_items=len(outcomes.base),
        num_clusters=outcomes.num_clusters,
        base=sum(outcomes.base) / len(outcomes.base),
        candidate=sum(outcomes.candidate) / len(outcomes.candidate),
        difference=verdict.interval.value,
        low=_clip(verdict.interval).low,
        high=_clip(verdict.interval).high,
        bootstrap_low=bootstrap.low,
        bootstrap_high=bootstrap.high,
        p_permutation=permute_signs(outcomes, rule.bootstrap).p,
        p_mcnemar=run_mcnemar(outcomes, rule.bootstrap).p if outcomes.is_binary else None,
        p_adjusted=verdict.p_adjusted,
        smallest_detectable=min(verdict.smallest_detectable, 1.0),
    )


def _build_metrics(questions: Questions, whole: Comparison, tasks: Sequence[Comparison]) -> list[Metric]:
    return [
        _build_difference("paired_difference", whole),
        *(_build_difference(f"paired_difference_{one.name.removeprefix(f'{questions.split}/')}", one) for one in tasks),
        *(Metric(name=f"verdict_{kind}", value=float(whole.verdict.kind is kind)) for kind in VerdictKind),
        Metric(name="comparison_p", value=whole.verdict.p),
        Metric(name="smallest_detectable", value=min(whole.verdict.smallest_detectable, 1.0)),
        Metric(name="num_compared", value=len(whole.outcomes.base)),
        Metric(name="num_clusters", value=whole.outcomes.num_clusters),
    ]


def _build_slice_metrics(part: Comparison | None) -> list[Metric]:
    """Describe the verdict on the slice; ``None`` is a slice without an item, whose repair is not shown."""
    verdict = part.verdict.kind if part else VerdictKind.UNDERPOWERED
    return [
        *([_build_difference("slice_difference", part)] if part else []),
        *(Metric(name=f"slice_{kind}", value=float(verdict is kind)) for kind in VerdictKind),
        Metric(name="num_slice_items", value=len(part.outcomes.base) if part else 0),
    ]


def _build_control_metrics(control: Comparison) -> list[Metric]:
    return [
        _build_difference("control_difference", control),
        Metric(name="control_regressed", value=float(control.verdict.kind is VerdictKind.REGRESSED)),
        Metric(name="control_underpowered", value=float(control.verdict.kind is VerdictKind.UNDERPOWERED)),
        Metric(name="control_smallest_detectable", value=min(control.verdict.smallest_detectable, 1.0)),
    ]


def _describe_noise(noise: NoiseFloor) -> list[Metric]:
    interval = _clip(noise.interval)
    return [
        Metric(name="noise_difference", value=interval.value, low=interval.low, high=interval.high),
        Metric(name="noise_floor", value=min(noise.floor, 1.0)),
        Metric(name="noise_changed", value=noise.share_changed),
        Metric(name="noise_items", value=noise.num_items),
    ]


def _build_difference(name: str, one: Comparison) -> Metric:
    interval = _clip(one.verdict.interval)
    return Metric(name=name, value=interval.value, low=interval.low, high=interval.high)


def _clip(interval: Interval) -> Interval:
    """Keep an interval within -1 and 1, where a difference of shares lies; a single cluster has an infinite one."""
    return Interval(interval.value, max(interval.low, -1.0), min(interval.high, 1.0))


def _explain(one: Comparison, config: CompareConfig) -> Failure:
    verdict, interval = one.verdict, _clip(one.verdict.interval)
    shown = f"{interval.value:+.3f} ({interval.low:+.3f} to {interval.high:+.3f})"
    smallest = min(verdict.smallest_detectable, 1.0)
    if verdict.reason is VerdictReason.WITHIN_NOISE:
        text = (
            f"candidate minus base {shown}: it does not exceed the noise floor, which is the far end of the interval "
            "of the difference between two runs of the base model"
        )
        return Failure(kind=verdict.kind.value, where=one.name, text=text)
    detail = {
        VerdictKind.REGRESSED: "the interval lies below zero",
        VerdictKind.NOT_DISTINGUISHABLE: f"a difference of {smallest:.3f} would have been seen",
        VerdictKind.UNDERPOWERED: f"{len(one.outcomes.base)} items of {one.outcomes.num_clusters} templates see "
        f"differences from {smallest:.3f} on; {config.margin:.3f} matters",
    }[verdict.kind]
    return Failure(kind=verdict.kind.value, where=one.name, text=f"candidate minus base {shown}: {detail}")
