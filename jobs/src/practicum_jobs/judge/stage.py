"""The stage ``judge``: reads pairs of answers, asks the judge, and says what it prefers and whether that counts."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Sequence

from practicum_core.errors import DataError
from practicum_core.metrics import Metric
from practicum_core.name_lists import name_first
from practicum_core.stages.base import Failure
from practicum_core.stages.calibration import CalibrationCheck, CanaryRound
from practicum_core.stages.evaluate import EvaluationSample, split_samples
from practicum_core.stages.judge import JudgeConfig, JudgeRecord, JudgeSample, Preference
from practicum_jobs.context import StageContext
from practicum_jobs.judge.cache import CACHE_NAME, JudgementCache
from practicum_jobs.judge.calibration import Evidence, check_judge, measure_accuracy, measure_first_rate
from practicum_jobs.judge.gold import LANGUAGES, build_canaries, build_gold, hash_gold
from practicum_jobs.judge.http_judge import HttpJudge, HttpOptions
from practicum_jobs.judge.labels import read_labels
from practicum_jobs.judge.local_judge import LocalJudge
from practicum_jobs.judge.pairs import Grade, Judge, Pair, PairVerdict
from practicum_jobs.judge.preference import Judged, WinRates, draw_labels, estimate_win_rates
from practicum_jobs.judge.prompts import hash_text
from practicum_jobs.judge.protocol import Outcome, conduct, describe_canaries, plan_rounds
from practicum_jobs.judge.reference_judge import ReferenceJudge
from practicum_jobs.models.sources import ensure_model
from practicum_jobs.scoring.evaluation_samples import read_evaluation_samples, resolve_samples, write_prompt
from practicum_jobs.scoring.intervals import Interval
from practicum_jobs.text.script import Script, classify_texts

_HALF = 0.5
_MAX_NAMED = 8
_PROGRESS_S = 1.0
_CHINESE = frozenset({Script.CHINESE, Script.MIXED})


def run(config: JudgeConfig, ctx: StageContext) -> JudgeRecord:
    """Judge the pairs of an evaluation, and the judge.

    Raises:
        ConfigError: The samples are named in a way that no file has, or the judge refuses every request.
        DataError: The samples or the labels cannot be read, or one model answered only.
        PlatformError: The judge does not answer.
        Stopped: A stop was requested; finished judgements are kept.
    """
    pairs = _build_pairs(read_evaluation_samples(resolve_samples(config.samples, ctx)), config.limit)
    labels = read_labels(config.labels, ctx, {pair.id for pair in pairs}) if config.labels else None
    asked = [pair for pair in pairs if not pair.is_equal]
    languages = [one for one in LANGUAGES if one in {pair.language for pair in pairs}]
    gold = [pair for language in languages for pair in build_gold(language)]
    canaries = [pair for language in languages for pair in build_canaries(language)]
    judge = _choose_judge(config, ctx)
    cache = JudgementCache(ctx.layout.root / CACHE_NAME, judge.identity + judge.instructions)

    shown_s = -math.inf

    def note(share: float) -> None:
        nonlocal shown_s
        ctx.raise_if_stopped()
        # Progress is written with a barrier of the disk, which takes longer than an answer of the scorers.
        if ctx.elapsed_s - shown_s >= _PROGRESS_S:
            ctx.progress(share, "answers of the judge")
            shown_s = ctx.elapsed_s

    outcome = conduct(judge, plan_rounds([*gold, *asked], canaries, config.seed), cache, note)
    verdicts = [found for pair in asked if (found := outcome.build_verdict(pair)) is not None]
    gold_verdicts = [found for pair in gold if (found := outcome.build_verdict(pair)) is not None]
    evidence = Evidence(
        gold_verdicts,
        verdicts,
        len(outcome.judgements),
        sum(one.verdict is None for one in outcome.judgements.values()),
        describe_canaries(outcome),
    )
    checks = check_judge(evidence, config)
    is_calibrated = all(one.is_passed for one in checks)
    judged = [Judged(one.pair, one.winner) for one in verdicts if one.winner is not None]
    if not outcome.is_given_up:
        judged += [Judged(pair, "tie") for pair in pairs if pair.is_equal]
    # Winners by the scorers correct nothing where the scorers judged.
    is_independent = not isinstance(judge, ReferenceJudge)
    if labels is None and is_independent:
        labels = draw_labels(judged, config.label_items, config.seed)
    rates = estimate_win_rates(judged, labels, config.confidence)
    ctx.write_samples(_build_sample(one) for one in (*gold_verdicts, *verdicts))
    unusable = _count_unusable(outcome)
    counts = {"judge_pairs": len(judged), "judge_equal_pairs": len(pairs) - len(asked)}
    return JudgeRecord(
        **ctx.build_record_fields(),
        judge=judge.identity,
        is_independent=is_independent,
        is_calibrated=is_calibrated,
        preference=_name_preference(rates.plain, is_calibrated=is_calibrated),
        checks=checks,
        canaries=evidence.rounds,
        num_asked=len(outcome.judgements),
        num_cached=len(outcome.cached),
        unusable=unusable,
        prompt_sha256=hash_text(judge.instructions) if judge.instructions else "",
        gold_sha256=hash_gold(gold),
        metrics=[
            *_build_rate_metrics(rates, is_calibrated=is_calibrated),
            *_build_check_metrics(checks, evidence, config),
            *(Metric(name=name, value=value) for name, value in counts.items()),
            Metric(name="judge_questions", value=len(outcome.judgements)),
        ],
        failures=_list_failures(checks, evidence.rounds, outcome, rates),
        notes=_list_notes(outcome, config, rates),
    )


def _choose_judge(config: JudgeConfig, ctx: StageContext) -> Judge:
    if config.local_model is not None:
        files = ensure_model(ctx.resolve_uri(config.local_model), ctx.cache_dir)
        name = f"{config.local_model} ({files.build_lock().sha256[:12]})"
        return LocalJudge(files.path, name, config.batch_size, show_reference=config.show_reference)
    if config.url is None:
        return ReferenceJudge()
    return HttpJudge(
        HttpOptions(
            url=config.url,
            model=config.model_name,
            key=os.environ.get(config.key_variable, "").strip(),
            response_format=config.response_format,
            timeout_s=config.timeout_s,
            retries=config.retries,
            concurrency=config.concurrency,
            max_tokens=config.max_tokens,
            show_reference=config.show_reference,
        )
    )


def _build_pairs(samples: Sequence[EvaluationSample], limit: int) -> list[Pair]:
    """Take the first pairs of the scored split; the control split asks for knowledge and not for better answers."""
    scored = split_samples(samples)[0][:limit]
    lone = [one.id for one in scored if one.base is None or one.candidate is None]
    if lone:
        raise DataError(
            f"{len(lone)} of {len(scored)} samples have the answer of one model only; the first is {lone[0]}",
            "evaluate two models first: a base and a candidate",
        )
    prompts = [write_prompt(one.prompt) for one in scored]
    scripts = classify_texts(prompts)
    return [
        Pair(
            id=one.id,
            kind="pair",
            language="zh" if script in _CHINESE else "en",
            task=one.task,
            prompt=prompt,
            expected=write_prompt(one.expected),
            base=one.base or "",
            candidate=one.candidate or "",
            winner=None,
            cluster=one.group or f"row:{one.id}",
            grades=_read_grades(one),
        )
        for one, prompt, script in zip(scored, prompts, scripts, strict=True)
    ]


def _read_grades(one: EvaluationSample) -> tuple[Grade, Grade] | None:
    """Return the grades of both answers by the scorer of the evaluation, which may be one that the row chose.

    A text's form is no part of its grade: whether it names what is expected counts, as with gold pairs.
    """
    if one.base_correct is None or one.candidate_correct is None:
        return None
    base = one.base_correct, one.base_fields, one.base_score, one.base_mentioned
    candidate = one.candidate_correct, one.candidate_fields, one.candidate_score, one.candidate_mentioned
    return _build_grade(*base), _build_grade(*candidate)


def _build_grade(
    correct: bool,  # noqa: FBT001 - as in the sample
    fields: dict[str, bool] | None,
    score: float | None,
    mentioned: bool | None,  # noqa: FBT001 - as in the sample
) -> Grade:
    if fields:
        return float(sum(fields.values())), correct
    return (score, False) if score is not None else (float(correct or bool(mentioned)), False)


def _name_preference(rate: Interval | None, *, is_calibrated: bool) -> Preference:
    if not is_calibrated:
        return "not_calibrated"
    if rate is None or rate.low <= _HALF <= rate.high:
        return "none"
    return "candidate" if rate.low > _HALF else "base"


def _build_rate_metrics(rates: WinRates, *, is_calibrated: bool) -> list[Metric]:
    found = {
        "judge_win_rate": rates.plain,
        "judge_win_rate_length_controlled": rates.length_controlled,
        "judge_win_rate_debiased": rates.debiased,
    }
    metrics = [Metric(name="judge_calibrated", value=float(is_calibrated))]
    metrics += [_describe(name, interval) for name, interval in found.items() if interval is not None]
    if is_calibrated and rates.plain is not None:
        one = rates.plain
        metrics.append(_describe("judge_preference", Interval(one.value - _HALF, one.low - _HALF, one.high - _HALF)))
    return [*metrics, Metric(name="judge_labelled_pairs", value=rates.num_labelled)]


def _build_check_metrics(checks: Sequence[CalibrationCheck], evidence: Evidence, config: JudgeConfig) -> list[Metric]:
    metrics = [
        Metric(name=one.name, value=one.value, low=one.low, high=one.high) for one in checks if one.value is not None
    ]
    more = {
        "judge_first_rate": measure_first_rate(evidence, config.confidence),
        "judge_gold_accuracy": measure_accuracy(evidence, config.confidence),
    }
    return metrics + [_describe(name, interval) for name, interval in more.items() if interval is not None]


def _describe(name: str, interval: Interval) -> Metric:
    return Metric(name=name, value=interval.value, low=interval.low, high=interval.high)


def _count_unusable(outcome: Outcome) -> dict[str, int]:
    kinds = [str(one.unusable) for one in outcome.judgements.values() if one.unusable is not None]
    return {kind: kinds.count(kind) for kind in sorted(set(kinds))}


def _list_failures(
    checks: Iterable[CalibrationCheck], rounds: Sequence[CanaryRound], outcome: Outcome, rates: WinRates
) -> list[Failure]:
    failures = [
        Failure(kind="not_calibrated", where=one.name, text=_explain(one)) for one in checks if not one.is_passed
    ]
    changed = [one for one in rounds if one.num_changed]
    failures += [
        Failure(
            kind="judge_changed",
            where=one.name,
            text=f"{one.num_changed} of {one.num_asked} canaries were answered otherwise than at the start",
        )
        for one in changed
    ]
    by_kind: dict[str, list[str]] = {}
    for name, judgement in outcome.judgements.items():
        if judgement.unusable is not None:
            by_kind.setdefault(str(judgement.unusable), []).append(name)
    failures += [
        Failure(
            kind=f"judge_{kind}",
            where=name_first(names, _MAX_NAMED),
            text=f"{len(names)} of {len(outcome.judgements)} answers of the judge",
        )
        for kind, names in sorted(by_kind.items())
    ]
    return failures + [Failure(kind="no_estimate", where=name, text=text) for name, text in rates.problems.items()]


def _explain(check: CalibrationCheck) -> str:
    wanted = f"{'at least' if check.comparison == '>=' else 'at most'} {check.bar:g}"
    if check.value is None or check.held is None:
        return f"not measured; the bar is {wanted}"
    interval = f" ({check.low:.3f} to {check.high:.3f})" if check.low is not None and check.high is not None else ""
    return f"{check.value:.3f}{interval}: the bar is {wanted}, and {check.held:.3f} is held against it"


def _list_notes(outcome: Outcome, config: JudgeConfig, rates: WinRates) -> list[str]:
    notes = []
    if outcome.is_given_up:
        notes.append("the judge gave a verdict on less than half of the first canaries; it was asked nothing else")
    if outcome.cached:
        notes.append(f"{len(outcome.cached)} answers of the judge are of an earlier attempt of this step")
    if rates.num_labelled:
        source = config.labels or "the scorers of the course"
        notes.append(f"the corrected win rate knows the winners of {rates.num_labelled} pairs from {source}")
    return notes


def _build_sample(one: PairVerdict) -> JudgeSample:
    pair = one.pair
    return JudgeSample(
        id=pair.id,
        kind="gold" if pair.kind == "gold" else "pair",
        prompt=pair.prompt,
        expected=pair.expected,
        base=pair.base,
        candidate=pair.candidate,
        base_first=one.base_first or "",
        candidate_first=one.candidate_first or "",
        winner=one.winner or "",
        gold=pair.winner or "",
        is_cached=one.is_cached,
    )
