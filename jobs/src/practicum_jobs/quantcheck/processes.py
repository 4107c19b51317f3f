"""Runs the measuring process of one artifact, within its time, and reads what it wrote."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from practicum_core.atomic import write_json_atomic
from practicum_core.errors import Stopped
from practicum_jobs.context import StageContext
from practicum_jobs.quantcheck.measurement import Fault, Measurement, Request

_POLL_S = 0.2
_TERM_GRACE_S = 5.0
_FINISHED = ".done"


@dataclass(frozen=True)
class Probed:
    """What a process measured, and why it measured no more; ``measurement`` is ``None`` if it did not load."""

    measurement: Measurement | None
    problem: str = ""


def read_finished(name: str, key: str, ctx: StageContext) -> Probed | None:
    """Return the whole measurement of an earlier attempt, if there is one; for the arguments see :func:`probe`."""
    target = _name_target(name, key, ctx)
    kept = _read(target) if target.with_suffix(_FINISHED).exists() else None
    return None if kept is None else Probed(kept)


def probe(name: str, key: str, request: Request, timeout_s: float, ctx: StageContext) -> Probed:
    """Measure one artifact in a process of its own.

    Args:
        name: Of the artifact.
        key: Hash of everything that the measurement depends on.
        request: What is asked.
        timeout_s: After which the process is stopped.
        ctx: Of the stage.

    Raises:
        Stopped: A stop was requested; the process is stopped too.
    """
    target = _name_target(name, key, ctx)
    target.parent.mkdir(parents=True, exist_ok=True)
    for stale in (target, target.with_suffix(".fault")):
        stale.unlink(missing_ok=True)
    source = target.with_suffix(".request")
    write_json_atomic(source, request.model_dump(mode="json"))
    code = _run(source, target, timeout_s, ctx)
    source.unlink()
    measurement = _read(target)
    if code == 0:
        target.with_suffix(_FINISHED).touch()
        return Probed(measurement)
    return Probed(measurement, _explain(code, target.with_suffix(".fault"), timeout_s))


def _name_target(name: str, key: str, ctx: StageContext) -> Path:
    return ctx.layout.root / "probes" / f"{name}-{key[:16]}.json"


def _run(source: Path, target: Path, timeout_s: float, ctx: StageContext) -> int | None:
    """Return the exit code; ``None`` where the time was over."""
    command = [sys.executable, "-m", "practicum_jobs.quantcheck.probe", str(source), str(target)]
    log = target.with_suffix(".log")
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, start_new_session=True)
        deadline_s = time.monotonic() + timeout_s
        try:
            while process.poll() is None:
                if ctx.is_stop_requested:
                    raise Stopped
                if time.monotonic() > deadline_s:
                    return None
                time.sleep(_POLL_S)
            return process.returncode
        finally:
            _stop(process)


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Stop the process and what it started, which share a session of their own."""
    if process.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_TERM_GRACE_S)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _read(path: Path) -> Measurement | None:
    try:
        return Measurement.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return None


def _explain(code: int | None, fault: Path, timeout_s: float) -> str:
    if code is None:
        return f"stopped after {timeout_s:.0f} s (timeout_s)"
    try:
        return Fault.model_validate_json(fault.read_bytes()).detail
    except (OSError, ValidationError):
        return f"the measuring process ended with {code}; its log is {fault.with_suffix('.log').name} in probes"
