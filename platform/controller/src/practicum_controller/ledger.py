"""A student's GPU hours: how much of the budget is used, when it is reset, what to say when it is used up. Pure.

Kueue has no cap on use over time, so the controller asks here before it makes a child that needs GPUs, and again while
one runs.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import NamedTuple

from practicum_core.course import Budget, CourseSpec, Student

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
WEEK = dt.timedelta(days=7)
SECONDS_PER_HOUR = 3600.0


class AccountKey(NamedTuple):
    """What an account is of: one run of a child. One that was preempted and runs again has the next, from 0."""

    child_uid: str
    run: int = 0


@dataclass(frozen=True)
class Usage:
    """GPUs that one child held, from its start to its end.

    ``gpus`` counts whole GPUs: two slices of a GPU cut into four are 0.5. ``ended_at`` is None while it runs.
    """

    key: AccountKey
    week_job_uid: str
    namespace: str
    course: str
    student: str
    step: str
    gpus: float
    started_at: dt.datetime
    ended_at: dt.datetime | None = None

    def get_gpu_seconds(self, now: dt.datetime, since: dt.datetime | None = None) -> float:
        """Return GPU seconds held between ``since`` (the start without it) and ``now``.

        >>> start = dt.datetime(2026, 1, 5, tzinfo=dt.UTC)
        >>> end = start + dt.timedelta(hours=2)
        >>> usage = Usage(AccountKey("c"), "w", "n", "llm", "student-01", "sft", 0.5, start, end)
        >>> usage.get_gpu_seconds(start + dt.timedelta(hours=1))
        1800.0
        >>> usage.get_gpu_seconds(start + WEEK, since=start + dt.timedelta(minutes=90))
        900.0
        """
        start = self.started_at if since is None else max(self.started_at, since)
        end = now if self.ended_at is None else min(self.ended_at, now)
        return self.gpus * max((end - start).total_seconds(), 0.0)


@dataclass(frozen=True)
class BudgetState:
    """How a student's budget stands.

    ``over`` says why no more GPU time may be used; ``None`` while some is left or there is no cap. ``left_s`` is the
    time in seconds until it is used up if what runs now goes on; ``None`` while nothing uses it up.
    """

    over: str | None = None
    left_s: float | None = None


def get_last_reset(budget: Budget, now: dt.datetime) -> dt.datetime:
    """Return when the budget was last made whole: the latest ``resetsOn`` at 00:00 UTC that is not after ``now``.

    >>> get_last_reset(Budget(resets_on="Wed"), dt.datetime(2026, 1, 6, 12, tzinfo=dt.UTC)).isoformat()
    '2025-12-31T00:00:00+00:00'
    >>> get_last_reset(Budget(resets_on="Wed"), dt.datetime(2026, 1, 7, tzinfo=dt.UTC)).isoformat()
    '2026-01-07T00:00:00+00:00'
    """
    midnight = now.astimezone(dt.UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return midnight - dt.timedelta(days=(midnight.weekday() - DAYS.index(budget.resets_on)) % len(DAYS))


def get_next_reset(budget: Budget, now: dt.datetime) -> dt.datetime:
    """Return when the budget will be whole again."""
    return get_last_reset(budget, now) + WEEK


def count_gpu_hours(usages: Iterable[Usage], since: dt.datetime, now: dt.datetime) -> float:
    """Return the GPU hours held between ``since`` and ``now``; what still runs counts up to ``now``."""
    return sum(usage.get_gpu_seconds(now, since) for usage in usages) / SECONDS_PER_HOUR


def get_cap_h(course: CourseSpec, student: Student) -> float | None:
    """Return the student's GPU hours per week: their own, else the course's; None where there is no cap."""
    return course.budget.gpu_hours_per_week if student.gpu_hours_per_week is None else student.gpu_hours_per_week


def read_budget(usages: Collection[Usage], cap_h: float | None, budget: Budget, now: dt.datetime) -> BudgetState:
    """Return how the budget of a student stands who held ``usages``.

    >>> monday = dt.datetime(2026, 1, 5, tzinfo=dt.UTC)
    >>> half = Usage(AccountKey("c"), "w", "n", "llm", "student-01", "sft", 0.5, monday)
    >>> read_budget([half], 1, Budget(), monday + dt.timedelta(hours=1)).left_s
    3600.0
    >>> read_budget([half], 1, Budget(), monday + dt.timedelta(hours=2)).over is None
    False
    """
    used_h = count_gpu_hours(usages, get_last_reset(budget, now), now)
    num_gpus = sum(usage.gpus for usage in usages if usage.ended_at is None)
    left_s = (cap_h - used_h) * SECONDS_PER_HOUR / num_gpus if cap_h is not None and num_gpus else None
    return BudgetState(get_reason_over_budget(used_h, cap_h, budget, now), left_s)


def get_reason_over_budget(used_h: float, cap_h: float | None, budget: Budget, now: dt.datetime) -> str | None:
    """Return why a student may use no more GPU time, or None while hours are left or there is no cap.

    >>> monday = dt.datetime(2026, 1, 5, 9, tzinfo=dt.UTC)
    >>> get_reason_over_budget(10.25, 10, Budget(), monday)
    'the GPU budget of this week is spent: 10.2 of 10 GPU hours used; it is whole again on Mon 2026-01-12 00:00 UTC'
    >>> get_reason_over_budget(9.9, 10, Budget(), monday) is None
    True
    """
    if cap_h is None or used_h < cap_h:
        return None
    if cap_h == 0:
        return "this student has no GPU hours in this course (the budget is 0 GPU hours a week); a teacher can raise it"
    reset = get_next_reset(budget, now)
    return (
        f"the GPU budget of this week is spent: {used_h:.1f} of {cap_h:g} GPU hours used; "
        f"it is whole again on {DAYS[reset.weekday()]} {reset:%Y-%m-%d %H:%M} UTC"
    )
