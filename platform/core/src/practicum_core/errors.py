"""The errors of Practicum and the reasons why a run waits or fails.

Every error has a ``reason`` (machine-readable, stable), a ``detail`` (what and where, with path and value) and a
``fix`` (what to do). The reason alone determines the exit code.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from enum import StrEnum


class Reason(StrEnum):
    """Why something waits, stopped or failed, for people. Code decides by :class:`~practicum_core.phases.Phase`."""

    CONFIG_INVALID = "ConfigInvalid"
    """The week job or a stage option is wrong; nothing was started."""
    COMPARISON_UNFAIR = "ComparisonUnfair"
    """A run differs from its control in more than one factor."""
    DATA_MISSING = "DataMissing"
    """A data file does not exist or cannot be read."""
    DATA_INVALID = "DataInvalid"
    """A data file is malformed."""
    DATA_LEAKAGE = "DataLeakage"
    """Evaluation rows are in the training data, and no waiver allows it."""
    MODEL_MISSING = "ModelMissing"
    """The model's files cannot be found or downloaded."""
    PREFLIGHT_FAILED = "PreflightFailed"
    """A check before training or serving found that it would fail or be useless."""
    TRAINING_DIVERGED = "TrainingDiverged"
    """The loss became NaN, infinite, or far higher than at the start."""
    GATE_FAILED = "GateFailed"
    """All steps ran, but a gate of the unit did not pass."""
    ENVIRONMENT_MISSING = "EnvironmentMissing"
    """A stage's pinned packages could not be installed."""
    DISK_FULL = "DiskFull"
    """The disk that the run writes to is full."""
    PERMISSION_DENIED = "PermissionDenied"
    """The run directory or the cache cannot be written."""
    OUT_OF_MEMORY = "OutOfMemory"
    """A process was killed because it used too much memory, or the estimate predicts that."""
    STAGE_NOT_IMPLEMENTED = "StageNotImplemented"
    """The curriculum declares this stage, but this version does not have it yet."""
    STAGE_CRASHED = "StageCrashed"
    """A stage ended without a record and did not report a reason."""
    WORKER_LOST = "WorkerLost"
    """Training workers died more often than the options allow."""
    UPSTREAM_UNAVAILABLE = "UpstreamUnavailable"
    """A required service (model hub, store, tracker) did not answer."""
    RUN_BUSY = "RunBusy"
    """Another process uses this run directory."""
    RUN_INCOMPLETE = "RunIncomplete"
    """The run directory is incomplete, because writing it was interrupted."""
    CLUSTER_MISSING = "ClusterMissing"
    """No cluster is configured, it cannot be reached, or Practicum is not installed on it."""
    SERVER_NOT_READY = "ServerNotReady"
    """A server started, but its readiness probe did not succeed in time."""
    SERVING = "Serving"
    """All tasks finished; the servers are kept until the week job is deleted or its time to live ends."""
    STOPPED = "Stopped"
    """Stopped on request after a checkpoint; can be resumed."""
    INTERNAL = "Internal"
    """An error in Practicum itself."""
    DEADLINE_EXCEEDED = "DeadlineExceeded"
    """Steps ran longer than ``activeDeadlineSeconds``, or than the course allows; waiting is not counted."""
    PRE_RUNNING_DEADLINE_EXCEEDED = "PreRunningDeadlineExceeded"
    """A stage was admitted but did not start to run within ``preRunningDeadlineSeconds``."""
    QUEUED = "Queued"
    """Waits in the queue until the class's share of the cluster has room."""
    QUOTA_EXCEEDED = "QuotaExceeded"
    """The quota of the namespace has no room for the stage's pods."""
    BUDGET_EXCEEDED = "BudgetExceeded"
    """The student's GPU hours are used up until the next reset; what ran was stopped after a checkpoint."""
    COURSE_MISSING = "CourseMissing"
    """The namespace belongs to no course, or the student is no longer on its roster."""
    COURSE_SUSPENDED = "CourseSuspended"
    """The teacher paused the course."""
    EARLIER_WEEK_UNFINISHED = "EarlierWeekUnfinished"
    """It builds on the results of week jobs that were applied before it and have not ended."""
    IMAGE_PULL_FAILED = "ImagePullFailed"
    """The image of a stage cannot be pulled: unknown name, no access, or no network."""
    UNSCHEDULABLE = "Unschedulable"
    """No node can provide the resources that the stage requests."""
    POD_REFUSED = "PodRefused"
    """A pod was rejected, or its container cannot be created: policy, missing volume, invalid reference."""
    PREEMPTED = "Preempted"
    """Preempted by a week job of higher priority; continues from its checkpoint when there is room."""
    EVICTED = "Evicted"
    """The node evicted the pod: not enough memory or disk, or maintenance."""
    STAGE_STARTING = "StageStarting"
    """A stage is being started."""
    STAGE_RUNNING = "StageRunning"
    """A stage is running."""
    GATES_PASSED = "GatesPassed"
    """All steps ran, and every gate passed."""


EXIT_OK = 0
EXIT_GATE = 1
EXIT_CONFIG = 2
EXIT_DATA = 3
EXIT_ENVIRONMENT = 4
EXIT_INTERNAL = 70
EXIT_TRY_AGAIN = 75
EXIT_STOPPED = 143

_EXIT_CODES: Mapping[Reason, int] = {
    Reason.CONFIG_INVALID: EXIT_CONFIG,
    Reason.COMPARISON_UNFAIR: EXIT_CONFIG,
    Reason.STAGE_NOT_IMPLEMENTED: EXIT_CONFIG,
    Reason.MODEL_MISSING: EXIT_CONFIG,
    Reason.PREFLIGHT_FAILED: EXIT_CONFIG,
    Reason.DATA_MISSING: EXIT_DATA,
    Reason.DATA_INVALID: EXIT_DATA,
    Reason.DATA_LEAKAGE: EXIT_DATA,
    Reason.RUN_INCOMPLETE: EXIT_DATA,
    Reason.GATE_FAILED: EXIT_GATE,
    Reason.TRAINING_DIVERGED: EXIT_GATE,
    Reason.ENVIRONMENT_MISSING: EXIT_ENVIRONMENT,
    Reason.DISK_FULL: EXIT_ENVIRONMENT,
    Reason.PERMISSION_DENIED: EXIT_ENVIRONMENT,
    Reason.OUT_OF_MEMORY: EXIT_ENVIRONMENT,
    Reason.WORKER_LOST: EXIT_ENVIRONMENT,
    Reason.UPSTREAM_UNAVAILABLE: EXIT_TRY_AGAIN,
    Reason.RUN_BUSY: EXIT_TRY_AGAIN,
    Reason.CLUSTER_MISSING: EXIT_ENVIRONMENT,
    Reason.STOPPED: EXIT_STOPPED,
    Reason.SERVING: EXIT_OK,
    Reason.SERVER_NOT_READY: EXIT_ENVIRONMENT,
    Reason.STAGE_CRASHED: EXIT_INTERNAL,
    Reason.INTERNAL: EXIT_INTERNAL,
    Reason.DEADLINE_EXCEEDED: EXIT_TRY_AGAIN,
    Reason.PRE_RUNNING_DEADLINE_EXCEEDED: EXIT_TRY_AGAIN,
    Reason.QUEUED: EXIT_TRY_AGAIN,
    Reason.QUOTA_EXCEEDED: EXIT_TRY_AGAIN,
    Reason.BUDGET_EXCEEDED: EXIT_TRY_AGAIN,
    Reason.COURSE_MISSING: EXIT_CONFIG,
    Reason.COURSE_SUSPENDED: EXIT_TRY_AGAIN,
    Reason.EARLIER_WEEK_UNFINISHED: EXIT_TRY_AGAIN,
    Reason.IMAGE_PULL_FAILED: EXIT_ENVIRONMENT,
    Reason.UNSCHEDULABLE: EXIT_ENVIRONMENT,
    Reason.POD_REFUSED: EXIT_ENVIRONMENT,
    Reason.PREEMPTED: EXIT_TRY_AGAIN,
    Reason.EVICTED: EXIT_TRY_AGAIN,
    Reason.STAGE_STARTING: EXIT_OK,
    Reason.STAGE_RUNNING: EXIT_OK,
    Reason.GATES_PASSED: EXIT_OK,
}


def get_exit_code(reason: Reason) -> int:
    """Return the process exit code for ``reason``.

    >>> get_exit_code(Reason.DATA_INVALID)
    3
    """
    return _EXIT_CODES[reason]


class PracticumError(Exception):
    """An error with a reason, a detail and a fix.

    Args:
        reason: Stable, machine-readable cause.
        detail: What is wrong and where: path, line, value.
        fix: What the user can do next, as an imperative sentence.
    """

    def __init__(self, reason: Reason, detail: str, fix: str = "") -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail
        self.fix = fix

    @property
    def exit_code(self) -> int:
        """Process exit code for this error."""
        return get_exit_code(self.reason)

    def __str__(self) -> str:
        return f"{self.detail}\n  fix: {self.fix}" if self.fix else self.detail


class UserError(PracticumError):
    """An error that the user can fix: configuration, data, or a gate that did not pass."""


class ConfigError(UserError):
    """The week job, an option or a model name is wrong."""

    def __init__(self, detail: str, fix: str = "", reason: Reason = Reason.CONFIG_INVALID) -> None:
        super().__init__(reason, detail, fix)


class DataError(UserError):
    """A data file is missing, unreadable or malformed."""

    def __init__(self, detail: str, fix: str = "", reason: Reason = Reason.DATA_INVALID) -> None:
        super().__init__(reason, detail, fix)


class GateFailed(UserError):  # noqa: N818 - has the name of its reason
    """All steps ran, but a gate did not pass."""

    def __init__(self, detail: str, fix: str = "", reason: Reason = Reason.GATE_FAILED) -> None:
        super().__init__(reason, detail, fix)


class PlatformError(PracticumError):
    """The platform failed: environment, disk, memory, or a service."""


class Stopped(PracticumError):  # noqa: N818 - not an error
    """The run was stopped on request, after it wrote a checkpoint."""

    def __init__(self, detail: str = "stopped on request") -> None:
        super().__init__(Reason.STOPPED, detail, "continue with: practicum run --resume RUN")


def suggest_similar(word: str, known: Iterable[str]) -> str:
    """Return ``; did you mean 'x'?`` for the closest known word, or an empty string.

    >>> suggest_similar("leraning_rate", ["learning_rate", "lora_r"])
    "; did you mean 'learning_rate'?"
    >>> suggest_similar("zzz", ["learning_rate"])
    ''
    """
    matches = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f"; did you mean '{matches[0]}'?" if matches else ""
