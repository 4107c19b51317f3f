"""Comparison of a repeated run with its record: bit-equal, within a tolerance, or different. Read-only."""

from __future__ import annotations

from dataclasses import dataclass

from practicum_cli.control import read_facts
from practicum_cli.runs import Run
from practicum_core.agreement import Agreement, Execution, Finding, compare_executions
from practicum_core.curriculum import get_unit
from practicum_core.factors import find_differences
from practicum_core.resolve import resolve_steps
from practicum_core.stages.base import list_reuse_options
from practicum_core.weekjob import SetValue, WeekJob


@dataclass(frozen=True)
class Verification:
    """The whole comparison."""

    findings: tuple[Finding, ...]
    changed: tuple[str, ...]
    num_machine_figures: int

    @property
    def agreement(self) -> Agreement:
        """The worst that decides; one that does not decide still takes bit-equality away."""
        if any(finding.agreement is Agreement.DIFFERENT and finding.decides for finding in self.findings):
            return Agreement.DIFFERENT
        is_equal = all(finding.agreement is Agreement.EQUAL for finding in self.findings)
        return Agreement.EQUAL if is_equal else Agreement.CLOSE


def build_weekjob_of_record(run: Run) -> WeekJob:
    """Return a week job that resolves to what the steps of ``run`` were configured with, whatever the defaults are now.

    Steps that may take results of other runs must not: what is verified is computed again.

    Raises:
        ConfigError: This version no longer knows an option of the record.
        DataError: A configuration is missing.
    """
    recorded = read_facts(run).steps
    options: dict[str, SetValue] = dict(run.weekjob.spec.set)
    for step in resolve_steps(run.weekjob):
        now = step.config.model_dump(mode="json")
        for key, value in recorded.get(step.name, {}).items():
            if key not in now or now[key] != value:
                options[f"{step.name}.{key}"] = value
        options |= {f"{step.name}.{key}": False for key in list_reuse_options(type(step.config))}
    return run.weekjob.model_copy(update={"spec": run.weekjob.spec.model_copy(update={"set": options})})


def compare_runs(recorded: Run, executed: Run, tolerance: float) -> Verification:
    """Compare an execution with its record: inputs, then each step's metrics, facts, artifacts and samples.

    Args:
        recorded: The run as it was.
        executed: The same week job, executed again.
        tolerance: Allowed difference of a metric, relative to the larger of 1 and its recorded size.
    """
    differences = find_differences(read_facts(recorded), read_facts(executed))
    steps = resolve_steps(executed.weekjob)
    reuse = {f"{step.name}.{key}" for step in steps for key in list_reuse_options(type(step.config))}
    changed = [f"{entry.name}: {entry.first} -> {entry.second}" for entry in differences if entry.name not in reuse]
    findings = [
        Finding("inputs", entry.name, Agreement.DIFFERENT, entry.first, entry.second)
        for entry in differences
        if entry.name == "model" or entry.name.startswith("data.")
    ]
    unit = get_unit(recorded.weekjob.spec.unit, recorded.weekjob.spec.variant)
    # What a server counted depends on its restarts; what its users measured stands in their records.
    servers = {step.name for step in unit.steps if step.is_server}
    num_machine_figures = 0
    for stage in recorded.status.stages:
        if stage.name in servers:
            continue
        before, now = (Execution(run.layout, stage.name) for run in (recorded, executed))
        found, skipped = compare_executions(before, now, tolerance)
        findings += found
        num_machine_figures += skipped
    return Verification(tuple(findings), tuple(changed), num_machine_figures)
