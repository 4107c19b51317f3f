"""What an executor sees of a week job before it plans: steps, holds, the last status."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from practicum_core.errors import Reason
from practicum_core.metrics import Metric
from practicum_core.phases import Phase
from practicum_core.weekjob import QueueStatus, WeekJobStatus

ALIVE = (Phase.SERVING, Phase.RUNNING, Phase.INITIALIZING, Phase.QUEUED)
"""Phases of a step whose process or object exists."""
LAST_WORDS = "before it died it said: "
"""In the message of a server that was started again, before the end of what it said."""


@dataclass(frozen=True)
class ObservedStep:
    """What an executor sees of one step.

    ``phase`` is ``Succeeded`` only where a whole record was read. ``attempt`` counts starts from 1. A step is
    ``Queued`` while it waits for quota and ``Initializing`` from ``admitted_at`` until its program runs. A server is
    ``Running`` until its probe answers and ``Serving`` while it does; ``endpoint`` is the address of one that runs.
    ``restarts`` counts the starts that the cluster made by itself within this attempt.
    """

    phase: Phase
    attempt: int = 1
    child: str | None = None
    reason: Reason | None = None
    message: str = ""
    fix: str = ""
    progress: float | None = None
    eta_s: float | None = None
    duration_s: float | None = None
    metrics: Sequence[Metric] = ()
    admitted_at: dt.datetime | None = None
    queue: QueueStatus | None = None
    endpoint: str | None = None
    restarts: int = 0

    @property
    def is_alive(self) -> bool:
        """Whether its process or object exists."""
        return self.phase in ALIVE


@dataclass(frozen=True)
class Hold:
    """Why a step may not be started yet; with ``stops_running``, why it may not go on either."""

    reason: Reason
    message: str
    stops_running: bool = False


@dataclass(frozen=True)
class Observed:
    """What an executor sees of a week job. Steps never started are absent.

    ``holds`` names the steps that may not be started yet. ``started_at`` is when the executor started, for the first
    look; later ``previous`` has the clock.
    """

    steps: Mapping[str, ObservedStep] = field(default_factory=dict)
    started_at: dt.datetime | None = None
    previous: WeekJobStatus | None = None
    evidence: str | None = None
    is_stop_requested: bool = False
    holds: Mapping[str, Hold] = field(default_factory=dict)
    generation: int | None = None
