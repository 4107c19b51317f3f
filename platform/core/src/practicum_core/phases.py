"""The phases of week jobs and steps, the conditions of week jobs, and the allowed transitions."""

from __future__ import annotations

from enum import StrEnum


class Phase(StrEnum):
    """The phase of a week job or a step."""

    PENDING = "Pending"
    """Accepted, but not started yet."""
    QUEUED = "Queued"
    """Waits for quota on a cluster, or for another step of the same run."""
    INITIALIZING = "Initializing"
    """Its environment or its pods are being created."""
    RUNNING = "Running"
    """At least one step is running."""
    SERVING = "Serving"
    """Of a step: its server is ready. Of a week job: all tasks finished, and its servers are kept."""
    SUSPENDED = "Suspended"
    """Stopped on request after a checkpoint; can be resumed."""
    SUCCEEDED = "Succeeded"
    """Finished with a record."""
    FAILED = "Failed"
    """Finished without a record."""

    @property
    def is_terminal(self) -> bool:
        """Whether no other phase can follow."""
        return self in (Phase.SUCCEEDED, Phase.FAILED)


class ConditionType(StrEnum):
    """The conditions in the status of a week job."""

    ACCEPTED = "Accepted"
    """The specification is valid."""
    QUEUED = "Queued"
    """The week job waits for quota."""
    RUNNING = "Running"
    """A step is running."""
    SUCCEEDED = "Succeeded"
    """Every step finished with a record."""
    FAILED = "Failed"
    """A step finished without a record."""
    SERVING = "Serving"
    """A server of the unit is ready."""
    GATES_PASSED = "GatesPassed"
    """Every gate of the unit passed."""


TRANSITIONS: tuple[tuple[Phase, Phase], ...] = (
    (Phase.PENDING, Phase.QUEUED),
    (Phase.PENDING, Phase.INITIALIZING),
    (Phase.PENDING, Phase.RUNNING),
    (Phase.PENDING, Phase.SUSPENDED),
    (Phase.PENDING, Phase.SERVING),
    (Phase.PENDING, Phase.FAILED),
    (Phase.QUEUED, Phase.INITIALIZING),
    (Phase.QUEUED, Phase.RUNNING),
    (Phase.QUEUED, Phase.SERVING),
    (Phase.QUEUED, Phase.SUSPENDED),
    (Phase.QUEUED, Phase.SUCCEEDED),
    (Phase.QUEUED, Phase.FAILED),
    (Phase.INITIALIZING, Phase.QUEUED),
    (Phase.INITIALIZING, Phase.RUNNING),
    (Phase.INITIALIZING, Phase.SERVING),
    (Phase.INITIALIZING, Phase.SUSPENDED),
    (Phase.INITIALIZING, Phase.SUCCEEDED),
    (Phase.INITIALIZING, Phase.FAILED),
    (Phase.RUNNING, Phase.QUEUED),
    (Phase.RUNNING, Phase.INITIALIZING),
    (Phase.RUNNING, Phase.SERVING),
    (Phase.RUNNING, Phase.SUSPENDED),
    (Phase.RUNNING, Phase.SUCCEEDED),
    (Phase.RUNNING, Phase.FAILED),
    (Phase.SERVING, Phase.QUEUED),
    (Phase.SERVING, Phase.INITIALIZING),
    (Phase.SERVING, Phase.RUNNING),
    (Phase.SERVING, Phase.SUCCEEDED),
    (Phase.SUSPENDED, Phase.SERVING),
    (Phase.SUSPENDED, Phase.QUEUED),
    (Phase.SUSPENDED, Phase.INITIALIZING),
    (Phase.SUSPENDED, Phase.RUNNING),
    (Phase.SUSPENDED, Phase.SUCCEEDED),
    (Phase.SUSPENDED, Phase.FAILED),
)
"""The phase changes that an observer may see. It polls, so it may miss phases in between.

No transition starts from a terminal phase.
"""
