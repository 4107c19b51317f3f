"""The stage ``reveal``: reads the ratings of a blind test, checks the sealed key, and counts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pydantic import ValidationError

from practicum_core.blind_files import (
    KEY_NAME,
    RATINGS_FOLDER,
    BlindKey,
    Ratings,
    find_ratings_problem,
    read_key,
    read_ratings,
)
from practicum_core.errors import ConfigError, DataError
from practicum_core.metrics import Metric
from practicum_core.stages.base import Failure
from practicum_core.stages.blind import BlindRecord
from practicum_core.stages.reveal import BlindSample, RaterResult, RevealConfig, RevealRecord
from practicum_jobs.context import StageContext
from practicum_jobs.reveal.tally import (
    Pair,
    average,
    compute_joint_kappa,
    compute_kappa,
    compute_longer_rate,
    compute_sign_test,
    count_sides,
    estimate_preference,
    judge_rater,
    list_pairs,
)
from practicum_jobs.scoring.intervals import compute_mcnemar_p

MIN_RATERS = 2
_SIDE_P = 0.01


def run(config: RevealConfig, ctx: StageContext) -> RevealRecord:
    """Open the key and report win rate, sign test, agreement and attention.

    Raises:
        DataError: There is no test or no rating, the key is not the sealed one, or ratings are of another page.
    """
    folder = Path(ctx.resolve_uri(config.test, "data").removeprefix("file://"))
    sealed = _read_sealed(folder)
    key = read_key(folder / KEY_NAME, sealed.key_sha256)
    ratings = _read_all(folder / RATINGS_FOLDER, key, sealed.key_sha256)
    ctx.progress(0.3, "counting")
    raters = [judge_rater(key, one) for one in ratings]
    kept = [one for one, result in zip(ratings, raters, strict=True) if result.is_kept]
    pairs = list_pairs(key, kept) if kept else []
    ctx.write_samples(_build_sample(pair) for pair in pairs)
    metrics = _count_raters(raters, key)
    if pairs:
        metrics += _measure(pairs, key, kept, config)
    return RevealRecord(
        **ctx.build_record_fields(),
        key_sha256=sealed.key_sha256,
        base_model=key.base_model,
        candidate_model=key.candidate_model,
        num_items=len(pairs),
        raters=raters,
        metrics=metrics,
        failures=_list_failures(raters, key, kept),
        notes=["a rater is left out who prefers a planted wrong answer or misses half of the attention checks"],
    )


def _read_sealed(folder: Path) -> BlindRecord:
    path = folder / "record.json"
    try:
        record = BlindRecord.model_validate_json(path.read_bytes())
    except OSError as error:
        raise ConfigError(f"{path}: no blind test lies here", "make one with `practicum blind make RUN`") from error
    except ValidationError as error:
        raise DataError(f"{path}: not the record of a blind test", "make the test again") from error
    if not record.key_sha256:
        raise DataError(f"{path}: the test has no pair: both models gave equal answers", "compare two other models")
    return record


def _read_all(folder: Path, key: BlindKey, key_sha256: str) -> list[Ratings]:
    ratings = [read_ratings(path) for path in sorted(folder.glob("*.json"))]
    if not ratings:
        raise DataError(f"{folder}: no ratings", "send the page to raters, then `practicum blind import RATINGS...`")
    for one in ratings:
        problem = find_ratings_problem(one, key, key_sha256)
        if problem:
            raise DataError(f"ratings of {one.rater}: {problem}", f"take them out of {folder}")
    return sorted(ratings, key=lambda one: one.rater.casefold())


def _count_raters(raters: Sequence[RaterResult], key: BlindKey) -> list[Metric]:
    counts = {
        "raters": len(raters),
        "raters_kept": sum(result.is_kept for result in raters),
        "failed_checks": sum(len(result.failed_checks) for result in raters),
        "names_removed": sum(bool(item.names_removed) for item in key.items if item.check is None),
    }
    return [Metric(name=name, value=value) for name, value in counts.items()]


def _measure(pairs: Sequence[Pair], key: BlindKey, kept: Sequence[Ratings], config: RevealConfig) -> list[Metric]:
    rate = estimate_preference(pairs, config.confidence)
    winners = [pair.winner for pair in pairs]
    first, second = count_sides(key, kept)
    equal = key.num_identical_pairs / key.num_pairs
    measured: dict[str, float | None] = {
        "pairs_rated": len(pairs),
        "blind_wins": winners.count("candidate"),
        "blind_losses": winners.count("base"),
        "blind_ties": winners.count("tie"),
        "blind_sign_test_p": compute_sign_test(pairs),
        "rater_kappa": compute_kappa(pairs),
        "rater_fleiss_kappa": compute_joint_kappa(pairs),
        "first_side_rate": first / (first + second) if first + second else None,
        "longer_rate": compute_longer_rate(pairs),
        "blind_win_rate_longer": average(pairs, lambda pair: pair.is_longer),
        "blind_win_rate_shorter": average(pairs, lambda pair: not pair.is_longer),
        "blind_win_rate_all_pairs": rate.value * (1 - equal) + 0.5 * equal,
    }
    return [
        Metric(name="blind_win_rate", value=rate.value, low=rate.low, high=rate.high),
        *(Metric(name=name, value=value) for name, value in measured.items() if value is not None),
    ]


def _list_failures(raters: Sequence[RaterResult], key: BlindKey, kept: Sequence[Ratings]) -> list[Failure]:
    failures = [
        Failure(
            kind="inattentive_rater",
            where=result.rater,
            text=f"left out: missed {len(result.failed_checks)} of {result.num_checks} attention checks"
            + (", and preferred a planted wrong answer" if result.preferred_planted else ""),
        )
        for result in raters
        if not result.is_kept
    ]
    if len(kept) < MIN_RATERS:
        text = f"{len(kept)} of {len(raters)} raters count; agreement needs {MIN_RATERS}"
        failures.append(Failure(kind="too_few_raters", where="raters", text=text))
    first, second = count_sides(key, kept)
    if compute_mcnemar_p(first, second) < _SIDE_P:
        text = f"the first answer was preferred {first} times and the second {second} times"
        failures.append(Failure(kind="position_preference", where="raters", text=text))
    return failures


def _build_sample(pair: Pair) -> BlindSample:
    votes = ", ".join(f"{rater}: {choice}" for rater, choice in pair.choices.items())
    item = pair.item
    return BlindSample(
        id=item.sample,
        prompt=item.prompt,
        base=item.base,
        candidate=item.candidate,
        preferred=pair.winner,
        votes=votes,
    )
