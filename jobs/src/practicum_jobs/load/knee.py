"""The knee: the highest rate whose goodput holds, from levels that were measured, and which rate to try next. Pure.

A level holds if the share of its requests that were answered within the objective is at least the wanted share. It
holds or fails *surely* if the whole 95% interval of that share lies on one side. The knee is the highest rate that
holds with no failing rate below it: a level that holds above one that fails was lucky, or the one below unlucky, and
the lower one counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from practicum_core.stages.loadtest import KneeBasis
from practicum_jobs.scoring.intervals import Interval

Outcome = Literal["holds", "fails"]


@dataclass(frozen=True)
class Level:
    """A rate that was offered, and the share of its requests that were good.

    Attributes:
        rate: Requests a second that were asked for.
        good: Share of all requests that were due, with its 95% interval.
    """

    rate: float
    good: Interval


@dataclass(frozen=True)
class Knee:
    """The highest rate that holds, and how that was decided.

    Attributes:
        rate: Requests a second; ``None`` if the lowest rate fails.
        basis: How it was found; ``None`` if nothing was measured.
        sure_low: Highest rate up to which all surely hold; ``None`` if the lowest does not.
        sure_high: Lowest rate that surely fails; ``None`` if none does.
    """

    rate: float | None
    basis: KneeBasis | None
    sure_low: float | None = None
    sure_high: float | None = None


def find_knee(levels: Sequence[Level], wanted_share: float) -> Knee:
    """Find the knee among measured levels; of several levels of one rate, all have to hold.

    >>> good, bad = Interval(1.0, 0.96, 1.0), Interval(0.5, 0.4, 0.6)
    >>> find_knee([Level(1, good), Level(2, good), Level(4, bad)], 0.95)
    Knee(rate=2, basis='bracketed', sure_low=2, sure_high=4)
    """
    if not levels:
        return Knee(None, None)
    ordered = sorted(levels, key=lambda level: (level.rate, level.good.value))
    failing = [level.rate for level in ordered if judge_level(level, wanted_share) == "fails"]
    holding = [level.rate for level in ordered if not failing or level.rate < failing[0]]
    sure = [level.rate for level in ordered if level.good.low >= wanted_share]
    unsure = [level.rate for level in ordered if level.good.low < wanted_share]
    sure_low = max((rate for rate in sure if not unsure or rate < min(unsure)), default=None)
    sure_high = min((level.rate for level in ordered if level.good.high < wanted_share), default=None)
    if not holding:
        return Knee(None, "none_held", None, sure_high)
    return Knee(holding[-1], "bracketed" if failing else "none_failed", sure_low, sure_high)


def judge_level(level: Level, wanted_share: float) -> Outcome:
    """Say whether a level holds, by the share itself.

    >>> judge_level(Level(1.0, Interval(0.96, 0.9, 0.99)), 0.95)
    'holds'
    """
    return "holds" if level.good.value >= wanted_share else "fails"


def propose_rate(levels: Sequence[Level], wanted_share: float, precision: float = 0.1) -> float | None:
    """Return the rate to try next, to find the knee more exactly; ``None`` if it is exact enough.

    Rates double until one fails (or halve until one holds), and then the geometric middle is tried.

    Args:
        levels: What was measured, at least one.
        wanted_share: Share of good requests of a level that holds.
        precision: The failing rate is at most this much above the holding one in the end, as a share.

    >>> good, bad = Interval(1.0, 0.96, 1.0), Interval(0.5, 0.4, 0.6)
    >>> propose_rate([Level(1.0, good), Level(4.0, bad)], 0.95)
    2.0
    """
    failing = min((one.rate for one in levels if judge_level(one, wanted_share) == "fails"), default=None)
    if failing is None:
        return 2 * max(level.rate for level in levels)
    holding = max((level.rate for level in levels if level.rate < failing), default=None)
    if holding is None:
        return failing / 2
    if failing / holding <= 1 + precision:
        return None
    middle: float = (failing * holding) ** 0.5
    return round(middle, 3)
