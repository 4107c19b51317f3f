"""Comparison of a load test with an earlier one, rate by rate: the differences of latencies with their intervals."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from practicum_core.errors import DataError
from practicum_core.stages.load_results import Estimate, LoadDifference, LoadSample
from practicum_jobs.load.difference import Difference, compare_percentile
from practicum_jobs.load.percentiles import QUANTILES, Percentile
from practicum_jobs.scoring.intervals import Bootstrap

Latency = Literal["ttft", "e2e"]
_LATENCIES: tuple[Latency, ...] = ("ttft", "e2e")
_SAME_TIME_S = 0.001


def read_samples(uri: str, path: Path) -> list[LoadSample]:
    """Read the requests of an earlier test.

    Raises:
        DataError: It is no ``samples.jsonl`` of a load test.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
        return [LoadSample.model_validate_json(line) for line in lines]
    except (OSError, UnicodeDecodeError, ValidationError) as error:
        raise DataError(
            f"{uri}: no samples of a load test", "name its samples.jsonl, or latest:UNIT/samples"
        ) from error


def compare_tests(
    base: Sequence[LoadSample], candidate: Sequence[LoadSample], bootstrap: Bootstrap
) -> list[LoadDifference]:
    """Compare the latencies of two tests at every rate that both sent.

    Only requests that ended well count; of the same schedule, only those that did in both tests.
    """
    found = []
    rates = sorted({one.rate for one in base} & {one.rate for one in candidate})
    for rate in rates:
        before, after = (
            sorted((one for one in test if one.rate == rate), key=lambda one: one.scheduled_s)
            for test in (base, candidate)
        )
        is_paired = has_same_schedule(before, after)
        before, after = _keep_answered(before, after, is_paired=is_paired)
        for latency in _LATENCIES:
            first, second = _list_latencies(before, latency), _list_latencies(after, latency)
            if first and second and (not is_paired or len(first) == len(second)):
                differences = [
                    compare_percentile(first, second, quantile, bootstrap, is_paired=is_paired)
                    for quantile in QUANTILES
                ]
                found += [_describe(rate, latency, one) for one in differences]
    return found


def has_same_schedule(base: Sequence[LoadSample], candidate: Sequence[LoadSample]) -> bool:
    """Whether two tests sent the same prompts at the same times from their first request on."""
    if len(base) != len(candidate) or not base:
        return False
    return all(
        one.prompt_index == other.prompt_index
        and one.phase == other.phase
        and abs((one.scheduled_s - base[0].scheduled_s) - (other.scheduled_s - candidate[0].scheduled_s)) < _SAME_TIME_S
        for one, other in zip(base, candidate, strict=True)
    )


def _keep_answered(
    base: Sequence[LoadSample], candidate: Sequence[LoadSample], *, is_paired: bool
) -> tuple[list[LoadSample], list[LoadSample]]:
    if not is_paired:
        return _list_answered(base), _list_answered(candidate)
    pairs = [
        (one, other)
        for one, other in zip(base, candidate, strict=True)
        if one.is_ok and other.is_ok and one.phase == "measured"
    ]
    return [one for one, _ in pairs], [other for _, other in pairs]


def _list_latencies(samples: Sequence[LoadSample], latency: Latency) -> list[float]:
    values = [one.ttft_s if latency == "ttft" else one.e2e_s for one in samples]
    return [value for value in values if value is not None]


def _list_answered(samples: Sequence[LoadSample]) -> list[LoadSample]:
    return [one for one in samples if one.is_ok and one.phase == "measured"]


def _describe(rate: float, latency: Latency, found: Difference) -> LoadDifference:
    interval = found.interval
    return LoadDifference(
        rate=rate,
        latency=latency,
        quantile=found.quantile,
        base=_estimate(found.base),
        candidate=_estimate(found.candidate),
        difference=Estimate(value=interval.value, low=interval.low, high=interval.high),
        is_paired=found.is_paired,
        verdict=found.verdict,
    )


def _estimate(one: Percentile) -> Estimate:
    return Estimate(value=one.value, low=one.low, high=one.high)
