"""Controls: a run is compared with an earlier one, from which it may differ in one factor."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from practicum_cli.provenance import build_environment
from practicum_cli.runs import Run, find_run, read_run, read_step_config, read_whole_run
from practicum_core.atomic import write_json_atomic
from practicum_core.errors import ConfigError, DataError, Reason
from practicum_core.factors import Comparison, Difference, RunFacts, find_differences
from practicum_core.json_files import read_json_or_empty
from practicum_core.layout import RunLayout
from practicum_core.lineage import read_lineage, resolve_references
from practicum_core.references import list_references
from practicum_core.resolve import resolve_steps
from practicum_core.stages.model import ModelLock
from practicum_core.stages.snapshot import DataLock
from practicum_core.weekjob import WeekJob

_Lock = TypeVar("_Lock", bound=BaseModel)


@dataclass(frozen=True)
class FairComparison:
    """A comparison that was found fair."""

    comparison: Comparison

    @property
    def sentence(self) -> str:
        """What a person is told."""
        made = self.comparison
        if made.factor is None:
            return f"control {made.control}: no factor differs; this run repeats it"
        return f"control {made.control}: one factor differs, {made.factor}: {made.control_value} -> {made.value}"

    def write(self, run_dir: Path) -> None:
        """Record it in the run directory."""
        write_json_atomic(RunLayout(run_dir).control, self.comparison.model_dump(mode="json"))


def check_control(weekjob: WeekJob, reference: str | None, root: Path) -> tuple[WeekJob, FairComparison | None]:
    """Compare a week job that is about to start with its control.

    Args:
        weekjob: The week job as resolved.
        reference: The control as a person names it; ``None`` for a run without one.
        root: Folder of all runs.

    Returns:
        The week job with the control's full name in it, and what to record.

    Raises:
        ConfigError: More than one factor differs (``ComparisonUnfair``), or there is no such run.
        DataError: The control is not whole.
    """
    if reference is None:
        return weekjob, None
    control = read_whole_run(find_run(reference, root))
    differences = find_differences(read_facts(control), build_facts(weekjob, root))
    comparison = require_one_factor(control.name, differences)
    named = weekjob.spec.model_copy(update={"control": control.name})
    return weekjob.model_copy(update={"spec": named}), FairComparison(comparison)


def recheck_control(run_dir: Path) -> None:
    """Compare a run with its control again, now that its locks are written, and record the result.

    Addresses were compared before the run started; a file may have changed since the control read it.

    Raises:
        ConfigError: More than one factor differs.
        DataError: A file of the control is broken by now.
    """
    layout = RunLayout(run_dir)
    noted = read_json_or_empty(layout.control).get("control")
    control_dir = run_dir.parents[1] / str(noted)
    if noted is None or not control_dir.is_dir():
        return
    differences = find_differences(read_facts(read_whole_run(control_dir)), read_facts(read_run(run_dir)))
    FairComparison(require_one_factor(str(noted), differences)).write(run_dir)


def require_one_factor(control: str, differences: list[Difference]) -> Comparison:
    """Return the comparison of a run with its control.

    Raises:
        ConfigError: More than one factor differs.
    """
    factors = [difference for difference in differences if difference.kind == "factor"]
    if len(factors) > 1:
        named = "; ".join(f"{factor.name}: {factor.first} -> {factor.second}" for factor in factors)
        raise ConfigError(
            f"{len(factors)} factors differ from control {control}: {named}",
            "change one of them only, or start without --control",
            Reason.COMPARISON_UNFAIR,
        )
    if not factors:
        return Comparison(control=control, factor=None)
    only = factors[0]
    return Comparison(control=control, factor=only.name, control_value=only.first, value=only.second)


def build_facts(weekjob: WeekJob, root: Path) -> RunFacts:
    """Return what is known of a week job that would start now, built on runs below ``root``."""
    steps = resolve_steps(weekjob)
    environment, _ = build_environment((step.environment for step in steps), [])
    options = {step.name: step.config.model_dump(mode="json") for step in steps}
    lineage = resolve_references(list_references(step.config for step in steps), root, weekjob.spec.variant)
    return RunFacts(weekjob.spec, options, environment, lineage=lineage)


def read_facts(run: Run) -> RunFacts:
    """Return what the files of a run say of it. A step that has not started is known by what it would start with.

    Raises:
        DataError: A file of it is missing or broken.
    """
    steps = {
        step.name: read_step_config(run.layout, step.name)
        if run.layout.stage(step.name).config.exists()
        else step.config.model_dump(mode="json")
        for step in resolve_steps(run.weekjob)
    }
    model = _read_lock(run.layout.model_lock, ModelLock)
    data = _read_lock(run.layout.data_lock, DataLock)
    return RunFacts(run.weekjob.spec, steps, run.environment, model, data, read_lineage(run.layout))


def _read_lock(path: Path, model: type[_Lock]) -> _Lock | None:
    if not path.exists():
        return None
    try:
        return model.model_validate(read_json_or_empty(path))
    except ValidationError as error:
        raise DataError(f"{path}: not a whole lock", "start a new run", Reason.RUN_INCOMPLETE) from error
