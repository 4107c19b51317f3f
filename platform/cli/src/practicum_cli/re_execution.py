"""A recorded run executed again from its record alone, and compared with it; what came out is kept beside it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

from practicum_cli.console import JsonLines, ProgressBar
from practicum_cli.runs import read_run, read_whole_run
from practicum_cli.session import Outcome, execute_run, start_run
from practicum_cli.verification import Verification, build_weekjob_of_record, compare_runs
from practicum_core.atomic import write_json_atomic
from practicum_core.layout import VERIFICATION, VERIFY_FOLDER
from practicum_core.lineage import read_whole_lineage
from practicum_core.phases import Phase
from practicum_runtime.stop_request import StopRequest


@dataclass(frozen=True)
class ReExecution:
    """How it ended. ``result`` is ``None`` where the execution did not succeed and so compares with nothing."""

    name: str
    path: Path
    outcome: Outcome
    result: Verification | None


def execute_again(path: Path, tolerance: float, listener: JsonLines | ProgressBar, stop: StopRequest) -> ReExecution:
    """Execute a run again below ``RUN/verify``, from the very files that it was built on, and compare.

    Args:
        path: Directory of the recorded run.
        tolerance: Allowed difference of a metric, relative to the larger of 1 and its recorded size.
        listener: Told what happens.
        stop: Asked whether to stop.

    Raises:
        ConfigError: This version no longer knows an option of the record.
        DataError: The record, or what the run was built on, is not whole.
    """
    recorded = read_whole_run(path)
    weekjob = build_weekjob_of_record(recorded)
    folder = recorded.layout.root.parents[1]
    lineage = read_whole_lineage(recorded.layout, folder)
    made = start_run(recorded.layout.root / VERIFY_FOLDER, weekjob, lineage)
    outcome = execute_run(made, weekjob, listener, stop, folder)
    if outcome.status.phase is not Phase.SUCCEEDED:
        return ReExecution(recorded.name, made, outcome, None)
    result = compare_runs(recorded, read_run(made), tolerance)
    write_json_atomic(made / VERIFICATION, build_document(recorded.name, result))
    return ReExecution(recorded.name, made, outcome, result)


def build_document(name: str, result: Verification) -> dict[str, object]:
    """Return a comparison as ``verification.json`` has it."""
    findings = [asdict(finding) for finding in result.findings]
    return {"run": name, "agreement": result.agreement, "changed": list(result.changed), "findings": findings}
