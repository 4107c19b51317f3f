"""One run of a unit by a command of its own: started, and its end told."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from practicum_cli.conclusion import describe_end, describe_fault, get_exit_code_of
from practicum_cli.console import build_listener
from practicum_cli.request import RunRequest, build_weekjobs
from practicum_cli.session import Outcome, describe_outcome, execute_run, start_run
from practicum_cli.streams import tell, tell_json
from practicum_core.json_files import read_json_or_empty
from practicum_core.layout import RunLayout
from practicum_runtime.stop_request import StopRequest


def execute_unit(unit: str, request: RunRequest, experiments: Path) -> Outcome:
    """Start a run of a unit and wait for its end.

    Raises:
        ConfigError: An option is wrong; nothing was started.
    """
    weekjob = build_weekjobs((unit,), request)[0]
    return execute_run(start_run(experiments, weekjob), weekjob, build_listener(), StopRequest())


def tell_end(outcome: Outcome, *, as_json: bool) -> int:
    """Print how a run ended and return its exit code."""
    if as_json:
        tell_json(describe_outcome(outcome))
    else:
        tell(describe_end([outcome]))
    return tell_fault(outcome)


def tell_result(outcome: Outcome, step: str, describe: Callable[[dict[str, Any]], str], *, as_json: bool) -> int:
    """Print what a step of a run measured, then how the run ended, and return its exit code.

    Args:
        outcome: The run.
        step: The step whose record is told.
        describe: Tells a record as text.
        as_json: Print the status with the record as JSON instead.
    """
    record = read_json_or_empty(RunLayout(outcome.path).stage(step).record)
    if as_json:
        tell_json({**describe_outcome(outcome), "result": record or None})
        return tell_fault(outcome)
    if record:
        tell(describe(record))
    return tell_end(outcome, as_json=False)


def tell_fault(outcome: Outcome) -> int:
    """Print the fault of a run, where it had one, and return its exit code."""
    fault = describe_fault(outcome)
    if fault:
        tell(fault, err=True)
    return get_exit_code_of(outcome.status)
