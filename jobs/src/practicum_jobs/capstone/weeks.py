"""The weeks of a chain: the run directories whose evidence a capstone names, read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from practicum_core.curriculum import UNITS
from practicum_core.environment import RunEnvironment
from practicum_core.errors import DataError
from practicum_core.evidence import Evidence
from practicum_core.json_files import read_json_or_empty
from practicum_core.layout import VERIFICATION, VERIFY_FOLDER, RunLayout
from practicum_core.lineage import Lineage, read_lineage
from practicum_core.problems import list_problems
from practicum_core.stages.model import ModelLock
from practicum_core.stages.snapshot import DataLock

_Model = TypeVar("_Model", bound=BaseModel)


@dataclass(frozen=True)
class Week:
    """One week as its run directory tells it."""

    layout: RunLayout
    evidence: Evidence
    environment: RunEnvironment | None
    data: DataLock | None
    model: ModelLock | None
    lineage: Lineage
    verified: str = ""

    @property
    def unit(self) -> str:
        """Name of its unit."""
        return self.evidence.unit

    @property
    def name(self) -> str:
        """The run as people name it, UNIT/RUN_ID."""
        return f"{self.unit}/{self.layout.root.name}"

    def has_content_of(self, unit: str) -> bool:
        """Whether it is the week of a unit, or of one that merges it in a shorter course."""
        known = UNITS.get(self.unit)
        return self.unit == unit or (known is not None and unit in known.merges)


def read_weeks(paths: Sequence[Path]) -> list[Week]:
    """Read the runs of evidence files, each run once and in the order given.

    Raises:
        DataError: A file is missing, broken, or says that it is of another run than the one that it lies in.
    """
    return [read_week(path) for path in dict.fromkeys(paths)]


def read_week(path: Path) -> Week:
    """Read the run directory that an ``evidence.json`` lies in.

    Raises:
        DataError: As :func:`read_weeks`.
    """
    layout = RunLayout(path.parent.parent)
    evidence = _read(path, Evidence)
    if evidence is None or path != layout.evidence_json:
        raise DataError(f"{path}: not the evidence of a run", "name RUN/evidence/evidence.json")
    if (evidence.unit, evidence.run) != (layout.root.parent.name, layout.root.name):
        raise DataError(
            f"{path}: it is the evidence of run {evidence.unit}/{evidence.run}, copied into another run's folder",
            "run the week yourself",
        )
    return Week(
        layout,
        evidence,
        _read(layout.environment, RunEnvironment),
        _read(layout.data_lock, DataLock),
        _read(layout.model_lock, ModelLock),
        read_lineage(layout) or Lineage(),
        _read_agreement(layout),
    )


def find_absent(expected: Sequence[str], weeks: Sequence[Week]) -> list[str]:
    """Return the units that no week stands for, neither by itself nor as one that merges it."""
    return [unit for unit in expected if not any(week.has_content_of(unit) for week in weeks)]


def read_present(layout: RunLayout) -> Week:
    """Read the run that is under way; it has no evidence yet.

    Raises:
        DataError: A file of it is broken.
    """
    unit, run_id = layout.root.parent.name, layout.root.name
    return Week(
        layout,
        Evidence(unit=unit, run=run_id, verdict="failed", gates=[], metrics=[]),
        _read(layout.environment, RunEnvironment),
        _read(layout.data_lock, DataLock),
        _read(layout.model_lock, ModelLock),
        read_lineage(layout) or Lineage(),
    )


def read_options(layout: RunLayout, step: str) -> dict[str, object]:
    """Read the options that a step ran with.

    Raises:
        DataError: They are missing or broken.
    """
    path = layout.stage(step).config
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise DataError(f"{path}: not whole YAML", "run the week again") from error
    if not isinstance(document, dict):
        raise DataError(f"{path}: expected a mapping", "run the week again")
    return document


def _read_agreement(layout: RunLayout) -> str:
    """Return how the last execution of the whole run agreed with its record; empty where there was none."""
    made = sorted(layout.root.glob(f"{VERIFY_FOLDER}/*/*/{VERIFICATION}"), key=lambda path: path.parent.name)
    return str(read_json_or_empty(made[-1]).get("agreement", "")) if made else ""


def _read(path: Path, model: type[_Model]) -> _Model | None:
    try:
        return model.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValidationError) as error:
        why = list_problems(error)[0] if isinstance(error, ValidationError) else str(error.strerror)
        raise DataError(f"{path}: {why}", "run the week again") from error
