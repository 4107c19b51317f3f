"""The state of a step, derived from its files and from the exit status of its process. Read-only."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path

from pydantic import ValidationError

from practicum_core.errors import DataError, Reason
from practicum_core.json_files import read_json_or_empty
from practicum_core.layout import RunLayout, StageLayout
from practicum_core.observed import ObservedStep
from practicum_core.phases import Phase
from practicum_core.problems import list_problems
from practicum_core.stages import STAGES, StageRecord

_NEEDED_TO_RESUME = frozenset({RunLayout(Path()).weekjob.name, RunLayout(Path()).environment.name})
"""Files of a run directory that cannot be restored from others."""
LOG_HINT = "read the step's log: practicum logs RUN STEP"


def read_record(layout: RunLayout, step: str) -> StageRecord:
    """Read the record of a step and validate it with the model of its stage.

    Raises:
        DataError: It is missing or malformed, or this version does not know the stage (``RunIncomplete``).
    """
    path = layout.stage(step).record
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise build_incomplete(path, "the file is missing") from error
    except (OSError, UnicodeDecodeError) as error:
        raise build_incomplete(path, str(error)) from error
    except ValueError as error:
        raise build_incomplete(path, f"not whole JSON ({error})") from error
    stage = document.get("stage") if isinstance(document, dict) else None
    if stage not in STAGES:
        raise build_incomplete(path, f"record of an unknown stage {stage!r}")
    try:
        return STAGES[stage].record.model_validate(document)
    except ValidationError as error:
        raise build_incomplete(path, list_problems(error)[0]) from error


def iter_records(layout: RunLayout) -> Iterator[tuple[str, StageRecord]]:
    """Yield the steps of a run directory, by name, with their records; records that cannot be read are passed over.

    Whoever must know of those compares the seal of the evidence (:mod:`practicum_core.seal`).
    """
    for folder in sorted(layout.stages.iterdir()) if layout.stages.is_dir() else ():
        try:
            yield folder.name, read_record(layout, folder.name)
        except DataError:
            continue


def build_incomplete(path: Path, what: str) -> DataError:
    """Build the error for a file that is truncated or missing."""
    can_resume = path.name not in _NEEDED_TO_RESUME
    fix = "continue with `practicum run --resume RUN`, or start a new run" if can_resume else "start a new run"
    return DataError(f"{path}: {what}", fix, Reason.RUN_INCOMPLETE)


def observe_record(run: RunLayout, step: str, attempt: int) -> ObservedStep:
    """Return the state of a step with a record: succeeded if the record is valid."""
    try:
        record = read_record(run, step)
    except DataError as error:
        return ObservedStep(
            Phase.FAILED, attempt=attempt, reason=Reason.RUN_INCOMPLETE, message=error.detail, fix=error.fix
        )
    return ObservedStep(Phase.SUCCEEDED, attempt=attempt, duration_s=record.duration_s, metrics=record.metrics)


def observe_error(layout: StageLayout, attempt: int) -> ObservedStep:
    """Return the state of a step that reported an error."""
    document = read_json_or_empty(layout.error)
    try:
        reason = Reason(document.get("reason", ""))
    except ValueError:
        reason = Reason.STAGE_CRASHED
    phase = Phase.SUSPENDED if reason is Reason.STOPPED else Phase.FAILED
    message, fix = str(document.get("detail", "")), str(document.get("fix", ""))
    return ObservedStep(phase, attempt=attempt, reason=reason, message=message, fix=fix)


def explain_exit(layout: StageLayout, status: int, attempt: int) -> ObservedStep:
    """Explain why a process ended without a record and without an error report.

    Args:
        layout: The step.
        status: Exit status; negative for a signal.
        attempt: Number of the start of the step.
    """
    if status >= 0:
        message = f"ended with exit code {status} and without a record; its log is {layout.log}"
        return ObservedStep(Phase.FAILED, attempt=attempt, reason=Reason.STAGE_CRASHED, message=message, fix=LOG_HINT)
    name = signal.Signals(-status).name
    if -status == signal.SIGKILL:
        message = f"killed by signal 9 ({name}), most likely for memory; its log is {layout.log}"
        fix = "use a smaller batch_size or max_length, or free some memory, then resume"
        return ObservedStep(Phase.FAILED, attempt=attempt, reason=Reason.OUT_OF_MEMORY, message=message, fix=fix)
    message = f"killed by signal {-status} ({name}); its log is {layout.log}"
    return ObservedStep(Phase.FAILED, attempt=attempt, reason=Reason.STAGE_CRASHED, message=message, fix=LOG_HINT)
