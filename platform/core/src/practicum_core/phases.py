"""The states of a week job and of its stages. ``Phase`` drives the machine; ``Reason`` informs people."""

from __future__ import annotations

from enum import StrEnum


class Phase(StrEnum):
    """Where a week job or a stage stands."""

    PENDING = "Pending"
    """Accepted; nothing runs yet."""
    QUEUED = "Queued"
    """Waits for quota (cluster) or for another stage of the same run."""
    INITIALIZING = "Initializing"
    """Its environment or pods are being made."""
    RUNNING = "Running"
    """At least one stage runs."""
    SERVING = "Serving"
    """A stage: its server answers. A week job: every task ended, and its servers are kept."""
    SUSPENDED = "Suspended"
    """Stopped on request after a checkpoint; can be resumed."""
    SUCCEEDED = "Succeeded"
    """Ended with a record."""
    FAILED = "Failed"
    """Ended without one."""

    @property
    def is_terminal(self) -> bool:
        """Whether no later phase follows."""
        return self in (Phase.SUCCEEDED, Phase.FAILED)


class ConditionType(StrEnum):
    """Standard conditions of a week job's status."""

    ACCEPTED = "Accepted"
    """The specification is valid."""
    QUEUED = "Queued"
    """It waits for quota."""
    RUNNING = "Running"
    """A stage runs."""
    SUCCEEDED = "Succeeded"
    """Every stage ended with a record."""
    FAILED = "Failed"
    """A stage ended without a record."""
    SERVING = "Serving"
    """A server of the unit answers."""
    GATES_PASSED = "GatesPassed"
    """Every gate of the unit was passed."""


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
"""Which phase may follow which, as far as an observer sees: it looks now and then, and may miss a phase between.

None leaves a terminal phase.
"""
