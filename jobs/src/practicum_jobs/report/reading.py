"""Reading a run directory for the evidence pack.

A file that is missing, truncated or malformed is reported as a gap with a reason; none of its content is used.
Reading then continues, so that a failed run still gets a pack.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from practicum_core.curriculum import get_unit
from practicum_core.curves import Curves, read_curves
from practicum_core.environment import RunEnvironment
from practicum_core.errors import ConfigError, DataError, Reason
from practicum_core.factors import Comparison
from practicum_core.layout import RunLayout
from practicum_core.lineage import Lineage
from practicum_core.problems import list_problems
from practicum_core.stages import STAGES, StageRecord
from practicum_core.stages.model import ModelLock
from practicum_core.stages.samples import Sample
from practicum_core.stages.snapshot import DataLock
from practicum_core.stages.spec import LockKind, SampleSpec
from practicum_core.texts import Bilingual
from practicum_core.units.unit import Unit
from practicum_core.weekjob import WeekJob
from practicum_jobs.render.foreign_text import shorten
from practicum_jobs.report.messages import GAPS

_Model = TypeVar("_Model", bound=BaseModel)
_Record = TypeVar("_Record", bound=StageRecord)
_MAX_LINE_BYTES = 1_000_000
"""A longer line of metrics or samples was not written by a stage; it is skipped."""


@dataclass(frozen=True)
class Gap:
    """A file that is missing from the run directory, or that cannot be used as a whole."""

    path: str
    why: Bilingual
    detail: str = ""


@dataclass(frozen=True)
class StepFiles:
    """The files of one step. ``record`` is ``None`` if the step has not succeeded."""

    name: str
    stage: str
    record: StageRecord | None
    config: Mapping[str, Any] = field(default_factory=dict)
    curves: Curves = field(default_factory=Curves)
    samples: tuple[Sample, ...] = ()
    error: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class RunFiles:
    """The content of a run directory and its gaps."""

    run_id: str
    unit: Unit
    weekjob: WeekJob
    steps: tuple[StepFiles, ...]
    environment: RunEnvironment | None
    data_lock: DataLock | None
    model_lock: ModelLock | None
    events: tuple[Mapping[str, Any], ...]
    control: Comparison | None
    lineage: Lineage | None
    gaps: tuple[Gap, ...]

    def list_records(self, kind: type[_Record]) -> list[_Record]:
        """List the records that extend ``kind``, in the order of the steps."""
        return [step.record for step in self.steps if isinstance(step.record, kind)]

    def writes_lock(self, kind: LockKind) -> bool:
        """Whether a step of the unit writes the lock of the data or of the model."""
        return _writes_lock(self.steps, kind)


def read_run(layout: RunLayout, own_step: str) -> RunFiles:
    """Read a run directory, complete or not.

    Args:
        layout: The run directory.
        own_step: The step that builds the pack. It is skipped, because its record does not exist yet.

    Raises:
        DataError: There is no readable week job, so the steps that should have run are unknown.
    """
    reader = _Reader(layout)
    weekjob = reader.read_weekjob()
    unit = get_unit(weekjob.spec.unit, weekjob.spec.variant)
    steps = tuple(reader.read_step(step.name, step.stage) for step in unit.steps if step.name != own_step)
    return RunFiles(
        run_id=layout.root.name,
        unit=unit,
        weekjob=weekjob,
        steps=steps,
        environment=reader.read_model(layout.environment, RunEnvironment),
        data_lock=reader.read_model(layout.data_lock, DataLock) if _writes_lock(steps, "data") else None,
        model_lock=reader.read_model(layout.model_lock, ModelLock) if _writes_lock(steps, "model") else None,
        events=reader.read_lines(layout.events),
        control=reader.read_model(layout.control, Comparison) if layout.control.exists() else None,
        lineage=reader.read_model(layout.lineage_lock, Lineage) if layout.lineage_lock.exists() else None,
        gaps=tuple(reader.gaps),
    )


def _writes_lock(steps: Iterable[StepFiles], kind: LockKind) -> bool:
    return any(step.stage in STAGES and kind in STAGES[step.stage].locks for step in steps)


class _Reader:
    """Reads the files of one run and collects the gaps."""

    def __init__(self, layout: RunLayout) -> None:
        self._layout = layout
        self.gaps: list[Gap] = []

    def read_weekjob(self) -> WeekJob:
        path = self._layout.weekjob
        try:
            weekjob = WeekJob.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
            get_unit(weekjob.spec.unit, weekjob.spec.variant)
        except (OSError, UnicodeDecodeError, yaml.YAMLError, ValidationError, ConfigError) as error:
            raise DataError(
                f"{path}: {_describe(error)}",
                "name the directory of a run, or start a new run",
                Reason.RUN_INCOMPLETE,
            ) from error
        return weekjob

    def read_step(self, name: str, stage: str) -> StepFiles:
        layout = self._layout.stage(name)
        model = STAGES[stage].record if stage in STAGES else StageRecord
        return StepFiles(
            name=name,
            stage=stage,
            record=self.read_model(layout.record, model),
            config=self.read_optional(layout.config, yaml.safe_load),
            curves=read_curves(json.dumps(line) for line in self.read_lines(layout.metrics)),
            samples=self.read_samples(layout.samples, STAGES[stage].samples if stage in STAGES else None),
            error=self.read_optional(layout.error),
        )

    def read_model(self, path: Path, model: type[_Model]) -> _Model | None:
        try:
            return model.model_validate_json(path.read_bytes())
        except FileNotFoundError:
            self._add_gap(path, GAPS["missing"])
        except (OSError, ValidationError) as error:
            self._add_gap(path, GAPS["invalid"], _describe(error))
        return None

    def read_optional(self, path: Path, load: Callable[[str], Any] = json.loads) -> Mapping[str, Any]:
        if not path.exists():
            return {}
        try:
            document = load(path.read_text(encoding="utf-8"))
        except (OSError, ValueError, yaml.YAMLError) as error:
            self._add_gap(path, GAPS["invalid"], _describe(error))
            return {}
        return document if isinstance(document, dict) else {}

    def read_lines(self, path: Path) -> tuple[Mapping[str, Any], ...]:
        """Read JSON lines; truncated and over-long lines are skipped and counted."""
        if not path.exists():
            return ()
        lines: list[Mapping[str, Any]] = []
        num_broken = 0
        try:
            with path.open("rb") as handle:
                while line := handle.readline(_MAX_LINE_BYTES):
                    parsed = _parse_line(line)
                    if parsed is None:
                        num_broken += 1
                    else:
                        lines.append(parsed)
        except OSError as error:
            self._add_gap(path, GAPS["invalid"], _describe(error))
        if num_broken:
            self._add_gap(path, GAPS["cut_lines"].format(count=num_broken))
        return tuple(lines)

    def read_samples(self, path: Path, spec: SampleSpec | None) -> tuple[Sample, ...]:
        """Read samples; lines that do not match the stage's sample model are skipped and counted."""
        lines = self.read_lines(path)
        if spec is None:
            return ()
        samples = [sample for line in lines if (sample := _parse_sample(line, spec)) is not None]
        if len(samples) < len(lines):
            self._add_gap(path, GAPS["cut_lines"].format(count=len(lines) - len(samples)))
        return tuple(samples)

    def _add_gap(self, path: Path, why: Bilingual, detail: str = "") -> None:
        self.gaps.append(Gap(path.relative_to(self._layout.root).as_posix(), why, detail))


def _parse_sample(line: Mapping[str, Any], spec: SampleSpec) -> Sample | None:
    try:
        return spec.model.model_validate(line)
    except ValidationError:
        return None


def _parse_line(line: bytes) -> Mapping[str, Any] | None:
    if not line.endswith(b"\n"):
        return None
    try:
        parsed = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return parsed if isinstance(parsed, dict) else None


def _describe(error: Exception) -> str:
    if isinstance(error, ValidationError):
        return shorten(list_problems(error)[0], 200)
    if isinstance(error, OSError):
        return error.strerror or type(error).__name__
    return shorten(" ".join(str(error).split()), 200)
