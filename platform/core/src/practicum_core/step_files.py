"""The state of a step, read from its files and from the exit status of its process. Changes nothing."""

from __future__ import annotations

import json
import signal
from pathlib import Path

from pydantic import ValidationError

from practicum_core.errors import DataError, Reason
from practicum_core.json_files import read_json_or_empty
from practicum_core.layout import RunLayout, StageLayout
from practicum_core.phases import Phase
from practicum_core.plan import ObservedStep
from practicum_core.problems import list_problems
from practicum_core.stages import STAGES, StageRecord

_NEEDED_TO_RESUME = frozenset({RunLayout(Path()).weekjob.name, RunLayout(Path()).environment.name})
"""Files that nothing else in the run directory can stand in for."""
LOG_HINT = "read the step's log: practicum logs RUN STEP"


def read_record(layout: RunLayout, step: str) -> StageRecord:
    """Read and validate the record of a step by the stage that wrote it.

    Raises:
        DataError: It is missing, broken, or of a stage that this version does not know (``RunIncomplete``).
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


def build_incomplete(path: Path, what: str) -> DataError:
    """Build the error of a file that was cut off or is missing."""
    can_resume = path.name not in _NEEDED_TO_RESUME
    fix = "go on with `practicum run --resume RUN`, or start the run anew" if can_resume else "start the run anew"
    return DataError(f"{path}: {what}", fix, Reason.RUN_INCOMPLETE)


def observe_record(run: RunLayout, step: str, attempt: int) -> ObservedStep:
    """Return where a step stands that has a record: succeeded where the record is whole."""
    try:
        record = read_record(run, step)
    except DataError as error:
        return ObservedStep(
            Phase.FAILED, attempt=attempt, reason=Reason.RUN_INCOMPLETE, message=error.detail, fix=error.fix
        )
    return ObservedStep(Phase.SUCCEEDED, attempt=attempt, duration_s=record.duration_s, metrics=record.metrics)


def observe_error(layout: StageLayout, attempt: int) -> ObservedStep:
    """Return where a step stands that said itself why it ended without a record."""
    document = read_json_or_empty(layout.error)
    try:
        reason = Reason(document.get("reason", ""))
    except ValueError:
        reason = Reason.STAGE_CRASHED
    phase = Phase.SUSPENDED if reason is Reason.STOPPED else Phase.FAILED
    message, fix = str(document.get("detail", "")), str(document.get("fix", ""))
    return ObservedStep(phase, attempt=attempt, reason=reason, message=message, fix=fix)


def explain_exit(layout: StageLayout, status: int, attempt: int) -> ObservedStep:
    """Explain a process that ended with neither record nor error.

    Args:
        layout: The step.
        status: Exit status, negative for a signal.
        attempt: Which start of the step it was.
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
