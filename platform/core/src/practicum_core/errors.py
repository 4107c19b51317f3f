"""Decides what can go wrong, how it is named, and what a person is told to do about it.

Every error carries a ``reason`` (machine-readable, stable), a ``detail`` (what and where, with path and
value) and a ``fix`` (what to do). The exit code follows from the reason alone. Refuses to know who shows it.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from enum import StrEnum


class Reason(StrEnum):
    """Why something waits, stopped or failed. Informs people; :class:`~practicum_core.phases.Phase` drives."""

    CONFIG_INVALID = "ConfigInvalid"
    """The week job or a stage option is wrong; nothing was started."""
    COMPARISON_UNFAIR = "ComparisonUnfair"
    """A run differs from its control in more than one factor."""
    DATA_MISSING = "DataMissing"
    """A data file does not exist or cannot be read."""
    DATA_INVALID = "DataInvalid"
    """A data file was read and is malformed."""
    DATA_LEAKAGE = "DataLeakage"
    """Evaluation rows stand in the training rows and no waiver names them."""
    MODEL_MISSING = "ModelMissing"
    """The model's files cannot be found or fetched."""
    PREFLIGHT_FAILED = "PreflightFailed"
    """A check before training found that training would be wasted."""
    TRAINING_DIVERGED = "TrainingDiverged"
    """The loss became NaN, infinite or far above where it started."""
    GATE_FAILED = "GateFailed"
    """Everything ran; a machine-checked gate of the unit was not passed."""
    ENVIRONMENT_MISSING = "EnvironmentMissing"
    """A stage's pinned packages could not be installed."""
    DISK_FULL = "DiskFull"
    """No space is left where the run writes."""
    PERMISSION_DENIED = "PermissionDenied"
    """The run directory or the cache cannot be written."""
    OUT_OF_MEMORY = "OutOfMemory"
    """A process was killed for memory, or the estimate says that it would be."""
    STAGE_NOT_IMPLEMENTED = "StageNotImplemented"
    """The curriculum declares this stage; this version cannot run it yet."""
    STAGE_CRASHED = "StageCrashed"
    """A stage ended without a record and without a reason of its own."""
    WORKER_LOST = "WorkerLost"
    """A training worker died more often than the run allows."""
    UPSTREAM_UNAVAILABLE = "UpstreamUnavailable"
    """A service that is needed (model hub, store, tracker) did not answer."""
    RUN_BUSY = "RunBusy"
    """Another process works on this run directory."""
    RUN_INCOMPLETE = "RunIncomplete"
    """The run directory was cut off while being written and is not read as whole."""
    CLUSTER_MISSING = "ClusterMissing"
    """No cluster is configured, it cannot be spoken to, or it has no Practicum."""
    SERVER_NOT_READY = "ServerNotReady"
    """A server ran and its probe did not answer in time."""
    SERVING = "Serving"
    """Every task ended; the servers are kept until the week job is deleted or its time to live is over."""
    STOPPED = "Stopped"
    """Stopped on request, after a checkpoint; can be resumed."""
    INTERNAL = "Internal"
    """A fault of Practicum itself."""
    DEADLINE_EXCEEDED = "DeadlineExceeded"
    """Steps ran longer than ``activeDeadlineSeconds``, waiting not counted."""
    PRE_RUNNING_DEADLINE_EXCEEDED = "PreRunningDeadlineExceeded"
    """A stage was admitted and did not begin to run within ``preRunningDeadlineSeconds``."""
    QUEUED = "Queued"
    """Waits in the queue for the class's share of the cluster."""
    QUOTA_EXCEEDED = "QuotaExceeded"
    """The namespace's own quota has no room for the stage's pods."""
    BUDGET_EXCEEDED = "BudgetExceeded"
    """The student's GPU hours of this week are used up."""
    COURSE_MISSING = "CourseMissing"
    """The namespace belongs to no course, or the student left its roster."""
    COURSE_SUSPENDED = "CourseSuspended"
    """The teacher paused the class."""
    IMAGE_PULL_FAILED = "ImagePullFailed"
    """A stage's image cannot be pulled: unknown name, no access, or no network."""
    UNSCHEDULABLE = "Unschedulable"
    """No node has what the stage asks for."""
    POD_REFUSED = "PodRefused"
    """A pod was refused or its container cannot be made: policy, missing volume, bad reference."""
    PREEMPTED = "Preempted"
    """A week job of higher priority took its place; it goes on from its checkpoint when there is room."""
    EVICTED = "Evicted"
    """The node took the pod away, for lack of memory or disk or for maintenance."""
    STAGE_STARTING = "StageStarting"
    """A stage is being started."""
    STAGE_RUNNING = "StageRunning"
    """A stage runs."""
    GATES_PASSED = "GatesPassed"
    """Everything ran and every gate was passed."""


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
    """Return the process exit code that stands for ``reason``.

    >>> get_exit_code(Reason.DATA_INVALID)
    3
    """
    return _EXIT_CODES[reason]


class PracticumError(Exception):
    """A fault with a reason, a detail and a fix.

    Args:
        reason: Stable, machine-readable cause.
        detail: What is wrong and where: path, line, value.
        fix: What the person can do next, as an imperative sentence.
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
    """Something the person can mend: configuration, data, or a gate that was not passed."""


class ConfigError(UserError):
    """The week job, an option or a model name is wrong."""

    def __init__(self, detail: str, fix: str = "", reason: Reason = Reason.CONFIG_INVALID) -> None:
        super().__init__(reason, detail, fix)


class DataError(UserError):
    """A data file is missing, unreadable or malformed."""

    def __init__(self, detail: str, fix: str = "", reason: Reason = Reason.DATA_INVALID) -> None:
        super().__init__(reason, detail, fix)


class GateFailed(UserError):  # noqa: N818 - named after its reason
    """Everything ran, and a gate says no."""

    def __init__(self, detail: str, fix: str = "", reason: Reason = Reason.GATE_FAILED) -> None:
        super().__init__(reason, detail, fix)


class PlatformError(PracticumError):
    """Something around the run failed: environment, disk, memory, a service."""


class Stopped(PracticumError):  # noqa: N818 - not an error: the run did what it was asked
    """The run was asked to stop and did so after writing a checkpoint."""

    def __init__(self, detail: str = "stopped on request") -> None:
        super().__init__(Reason.STOPPED, detail, "go on with: practicum run --resume RUN")


def suggest_similar(word: str, known: Iterable[str]) -> str:
    """Return ``; did you mean 'x'?`` for the closest known word, or an empty string.

    >>> suggest_similar("leraning_rate", ["learning_rate", "lora_r"])
    "; did you mean 'learning_rate'?"
    >>> suggest_similar("zzz", ["learning_rate"])
    ''
    """
    matches = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f"; did you mean '{matches[0]}'?" if matches else ""
