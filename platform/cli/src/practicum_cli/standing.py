"""Where runs stand, as text for a terminal: one in full, many as a table. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from practicum_cli.tables import format_table
from practicum_core.gates import GateResult
from practicum_core.weekjob import QueueStatus, WeekJobStatus

HEADER = ("UNIT", "RUN", "PHASE", "GATES", "MESSAGE")


@dataclass(frozen=True)
class Standing:
    """Where one run stands.

    Attributes:
        unit: Its unit.
        run: Its id, or its name on a cluster.
        title: How people name it.
        phase: Its phase in words.
        status: The rest.
    """

    unit: str
    run: str
    title: str
    phase: str
    status: WeekJobStatus

    def to_row(self) -> Sequence[str]:
        """Return its cells under :data:`HEADER`."""
        gates = self.status.gates
        passed = f"{sum(gate.passed for gate in gates)}/{len(gates)}" if gates else ""
        return (self.unit, self.run, self.phase, passed, self.status.message)


def describe_standing(standing: Standing) -> str:
    """Describe one run: its steps, its place in the queue, its gates."""
    status = standing.status
    rows = [
        [
            stage.name,
            stage.phase,
            "" if stage.progress is None else f"{stage.progress:.0%}",
            "" if stage.duration_seconds is None else f"{stage.duration_seconds:.1f}",
            " ".join(filter(None, (stage.endpoint, stage.message))),
        ]
        for stage in status.stages
    ]
    lines = [
        f"{standing.title}: {', '.join(filter(None, (standing.phase, status.message)))}",
        format_table(["STEP", "PHASE", "DONE", "SECONDS", "MESSAGE"], rows),
        *([_describe_queue(status.queue)] if status.queue and status.queue.position is not None else []),
        *(f"{describe_gate(gate)} ({_show(gate)}, {gate.threshold:.4g})" for gate in status.gates),
    ]
    return "\n".join(lines)


def describe_gate(gate: GateResult) -> str:
    """Say in a word whether a gate was passed."""
    return f"gate {'passed' if gate.passed else 'FAILED'}: {gate.name}"


def _show(gate: GateResult) -> str:
    return "nothing" if gate.value is None else f"{gate.value:.4g}"


def _describe_queue(queue: QueueStatus) -> str:
    """Say how many wait before it.

    >>> _describe_queue(QueueStatus(position=2, eta_seconds=600))
    'queue: 2 ahead, about 10 min to wait'
    """
    wait = "" if queue.eta_seconds is None else f", about {max(round(queue.eta_seconds / 60), 1)} min to wait"
    return f"queue: {queue.position} ahead{wait}"
