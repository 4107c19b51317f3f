"""What each rung is worth: the means of its scores, and how it stands to the rung below. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from practicum_core.rungs import Rung
from practicum_core.stages.experiments import RungQuality
from practicum_jobs.load.quantile import find_quantile
from practicum_jobs.scoring.answers import Score
from practicum_jobs.scoring.intervals import Bootstrap, Interval, estimate_difference, estimate_share
from practicum_jobs.scoring.paired import PairedOutcomes, estimate_difference_of_means, estimate_mean


@dataclass(frozen=True)
class Reply:
    """What one row got.

    Attributes:
        points: From 0 to 1; 0 without an answer.
        e2e_s: Seconds to its end.
        is_answered: Whether there was an answer.
        prompt_tokens: As the engine counted them; 0 without an engine.
        completion_tokens: The same of the answer.
        text: The answer, or the error.
        rung: That answered, as its header says.
    """

    points: float
    e2e_s: float
    is_answered: bool
    prompt_tokens: int = 0
    completion_tokens: int = 0
    text: str = ""
    rung: str = ""


def grade(score: Score) -> float:
    """Return the points of an answer; one with several fields gets a part for each that is right.

    >>> grade(Score(is_exact=False, fields={"a": True, "b": False})), grade(Score(is_exact=True))
    (0.5, 1.0)
    """
    if score.is_exact or not score.fields:
        return score.points
    return sum(score.fields.values()) / len(score.fields)


def measure_rungs(replies: Sequence[tuple[Rung, Sequence[Reply]]], groups: Sequence[str]) -> list[RungQuality]:
    """Measure all rungs.

    Args:
        replies: By rungs, best first; of the same rows in the same order.
        groups: Template of each row; intervals cluster by it.
    """
    lower: list[Sequence[Reply] | None] = [of_rung for _, of_rung in replies[1:]]
    return [
        _measure(rung, of_rung, below, groups) for (rung, of_rung), below in zip(replies, [*lower, None], strict=True)
    ]


def _measure(rung: Rung, replies: Sequence[Reply], below: Sequence[Reply] | None, groups: Sequence[str]) -> RungQuality:
    points = [one.points for one in replies]
    quality = _estimate(points, groups)
    ends = sorted(one.e2e_s for one in replies)
    number = len(replies)
    found = RungQuality(
        rung=rung,
        num_rows=number,
        num_answered=sum(one.is_answered for one in replies),
        quality=round(quality.value, 4),
        quality_low=round(max(quality.low, 0.0), 4),
        quality_high=round(min(quality.high, 1.0), 4),
        e2e_p50_s=round(find_quantile(ends, 0.5), 4),
        e2e_p95_s=round(find_quantile(ends, 0.95), 4),
        prompt_tokens=round(sum(one.prompt_tokens for one in replies) / number, 2),
        completion_tokens=round(sum(one.completion_tokens for one in replies) / number, 2),
    )
    if below is None:
        return found
    above = _compare([one.points for one in below], points, groups)
    return found.model_copy(
        update={
            "above_next": round(above.value, 4),
            "above_next_low": round(max(above.low, -1.0), 4),
            "above_next_high": round(min(above.high, 1.0), 4),
            "is_worse": above.high < 0,
        }
    )


def _estimate(points: Sequence[float], groups: Sequence[str]) -> Interval:
    """Return the mean with its interval: Wilson's where all are right or wrong, which has a width also where all agree.

    >>> interval = _estimate([0.0] * 16, [])
    >>> interval.value, round(interval.high, 2)
    (0.0, 0.19)
    """
    if _is_binary(points):
        return estimate_share([point == 1 for point in points], groups, Bootstrap())
    return estimate_mean(points, groups).interval


def _compare(below: Sequence[float], points: Sequence[float], groups: Sequence[str]) -> Interval:
    """Return the mean of the paired differences, these points minus those below, with its interval."""
    if _is_binary([*below, *points]):
        return estimate_difference([one == 1 for one in below], [one == 1 for one in points], groups, Bootstrap())
    return estimate_difference_of_means(PairedOutcomes(below, points, groups)).interval


def _is_binary(points: Sequence[float]) -> bool:
    return set(points) <= {0.0, 1.0}
