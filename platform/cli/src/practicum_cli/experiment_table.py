"""What came out of experiments on a service, as text for a terminal: hypothesis, method, findings, verdict, command."""

from __future__ import annotations

from typing import Any

from practicum_cli.tables import format_table
from practicum_core.stages.chaos import ChaosRecord
from practicum_core.stages.experiments import ExperimentResult, Verdict

_VERDICTS = {
    Verdict.HELD: "held: the service did what was expected, and the steady state is back",
    Verdict.DEVIATED: "deviated: the service did not do what was expected",
    Verdict.NOT_STEADY: "not steady: the hypothesis did not hold before the fault, so nothing was broken",
    Verdict.NOT_UNDONE: "not undone: the fault could not be taken back",
    Verdict.BROKEN_OFF: "broken off: an error ended the experiment, so nothing is known",
}


def describe_experiments(document: dict[str, Any]) -> str:
    """Describe the record of experiments.

    Args:
        document: The record as it was written.
    """
    record = ChaosRecord.model_validate(document)
    return "\n\n".join(_describe(result) for result in record.results)


def _describe(result: ExperimentResult) -> str:
    lines = [
        f"experiment  {result.title_en}",
        f"hypothesis  {result.hypothesis}",
        f"method      {'; '.join(result.method)}",
    ]
    if result.num_requests:
        lines.append(
            f"requests    {result.num_requests}: {result.num_full} in full, {result.num_degraded} by lower rungs, "
            f"{result.num_errors} errors, {result.num_lost} lost"
        )
    if result.changes:
        steps = [result.changes[0].before, *(change.after for change in result.changes)]
        lines.append(f"ladder      {' -> '.join(steps)}")
    rows = [[one.name, one.shown, one.bound, "yes" if one.is_met else "NO"] for one in result.findings]
    if rows:
        lines += ["", format_table(("FINDING", "FOUND", "MUST BE", "MET"), rows), ""]
    if result.error:
        lines.append(f"error       {result.error}")
    lines += [f"left        {what}" for what in result.left_behind]
    return "\n".join([*lines, f"verdict     {_VERDICTS[result.verdict]}", f"repeat      {result.repeat}"])
