"""The text that is printed when runs have ended: evidence packs, times, gates, and the result of each run."""

from __future__ import annotations

from pathlib import Path

from practicum_cli.session import Outcome
from practicum_core.curriculum import get_unit
from practicum_core.errors import EXIT_OK, EXIT_STOPPED, Reason, get_exit_code
from practicum_core.json_files import read_json_lines, read_json_or_empty
from practicum_core.layout import RunLayout
from practicum_core.metrics import StageMetric
from practicum_core.phases import Phase
from practicum_core.stages import STAGES
from practicum_core.weekjob import WeekJobStatus


def describe_end(outcomes: list[Outcome]) -> str:
    """Describe the end of one or several runs as text for a terminal.

    Who prints this prints the faults too. Of a single run, the fault alone says why it failed; of several, this says
    which of them failed for which reason.
    """
    parts = [_describe_run(outcome, says_why=len(outcomes) > 1 or not describe_fault(outcome)) for outcome in outcomes]
    parts += [line for outcome in outcomes for line in list_headlines(outcome)]
    packs = [_get_pack(outcome) for outcome in outcomes]
    if any(packs):
        parts.append("Evidence packs:\n" + "\n".join(f"  {pack}" for pack in packs if pack))
    return "\n\n".join(parts)


def list_headlines(outcome: Outcome) -> list[str]:
    """List the sentence of each step whose stage sums its metrics up in one."""
    spec = outcome.weekjob.spec
    evidence = read_json_or_empty(RunLayout(outcome.path).evidence_json)
    measured = [StageMetric.model_validate(metric) for metric in evidence.get("metrics", [])]
    lines = [
        STAGES[step.stage].describe_result({metric.name: metric for metric in measured if metric.stage == step.name})
        for step in get_unit(spec.unit, spec.variant).steps
        if step.stage in STAGES
    ]
    return [line for line in lines if line]


def get_exit_code_of(status: WeekJobStatus) -> int:
    """Return the exit code that a final status stands for."""
    return get_exit_code(status.reason or Reason.INTERNAL)


def _get_pack(outcome: Outcome) -> str:
    pack = RunLayout(outcome.path).evidence_html
    return str(pack) if pack.exists() else ""


def _describe_run(outcome: Outcome, *, says_why: bool) -> str:
    status, spec = outcome.status, outcome.weekjob.spec
    unit = get_unit(spec.unit, spec.variant)
    said = f"{status.phase}, {status.message}" if says_why else status.phase
    lines = [f"{outcome.weekjob.metadata.name} ({spec.unit}: {unit.title_en}): {said}"]
    times = [f"{stage.name} {stage.duration_seconds:.1f} s" for stage in status.stages if stage.duration_seconds]
    if times:
        total_s = sum(stage.duration_seconds or 0 for stage in status.stages)
        # A server runs beside the steps that ask it, so that a sum would count the same seconds twice.
        has_server = any(STAGES[step.stage].is_server for step in unit.steps if step.stage in STAGES)
        lines.append(f"  time: {', '.join(times)}" + ("" if has_server else f"; together {total_s:.1f} s"))
    setup_s = _sum_setup(outcome.path)
    if setup_s:
        lines.append(f"  set-up of environments: {setup_s:.1f} s")
    lines += [f"  gate {'passed' if gate.passed else 'FAILED'}: {gate.name} {_show(gate)}" for gate in status.gates]
    lines += _describe_trouble(outcome)
    return "\n".join(lines)


def _show(gate: object) -> str:
    value, threshold = getattr(gate, "value", None), getattr(gate, "threshold", 0.0)
    return f"(measured {'nothing' if value is None else f'{value:.4g}'}, threshold {threshold:.4g})"


def _describe_trouble(outcome: Outcome) -> list[str]:
    resume = outcome.describe_resumption()
    if outcome.status.phase is Phase.SUSPENDED:
        return [f"  continue with: {resume}"]
    if outcome.status.phase is not Phase.FAILED:
        return []
    failed = _get_failed_step(outcome)
    log = outcome.describe_log(failed) if failed else ""
    return [*([f"  log: {log}"] if log else []), f"  once that is fixed, continue with: {resume}"]


def describe_fault(outcome: Outcome) -> str:
    """Say in the command's one form what went wrong and what to do; empty for a run that ended well or was stopped."""
    status = outcome.status
    if get_exit_code_of(status) in (EXIT_OK, EXIT_STOPPED):
        return ""
    failed = _get_failed_step(outcome)
    fix = read_json_or_empty(RunLayout(outcome.path).stage(failed).error).get("fix") if failed else None
    if status.reason is Reason.GATE_FAILED:
        fix = "read in the evidence pack what was measured"
    usual = "read the log of the step that failed" if failed else "docs/reference/states.md tells what the reason means"
    return f"error: {status.reason}: {status.message}\n  fix: {fix or usual}"


def _get_failed_step(outcome: Outcome) -> str | None:
    return next((stage.name for stage in outcome.status.stages if stage.phase is Phase.FAILED), None)


def _sum_setup(path: Path) -> float:
    events = read_json_lines(RunLayout(path).events)
    return float(sum(event.get("duration_s", 0.0) for event in events if event.get("event") == "environment_ready"))
