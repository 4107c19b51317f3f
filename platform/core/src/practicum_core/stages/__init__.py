"""Decides which stages exist, what each one's configuration and record are, and which environment runs it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from practicum_core.errors import ConfigError, Reason, suggest_similar
from practicum_core.stages.audit import AuditConfig, AuditRecord
from practicum_core.stages.base import StageConfig, StageRecord
from practicum_core.stages.evaluate import EvaluateConfig, EvaluateRecord
from practicum_core.stages.inference import InferenceConfig, InferenceRecord
from practicum_core.stages.model import ModelConfig, ModelRecord
from practicum_core.stages.report import ReportConfig, ReportRecord
from practicum_core.stages.sft import SftConfig, SftRecord
from practicum_core.stages.snapshot import SnapshotConfig, SnapshotRecord

__all__ = ["DECLARED_STAGES", "STAGES", "Environment", "StageConfig", "StageRecord", "StageSpec", "get_stage"]

Environment = Literal["base", "train", "serve", "serve-gpu", "quantize"]


@dataclass(frozen=True)
class StageSpec:
    """A program that can run inside a unit.

    ``uses_gpu`` says whether it computes on a GPU where it has one.
    """

    name: str
    environment: Environment
    config: type[StageConfig]
    record: type[StageRecord]
    uses_gpu: bool = False


_IMPLEMENTED = (
    StageSpec("model", "train", ModelConfig, ModelRecord),
    StageSpec("snapshot", "base", SnapshotConfig, SnapshotRecord),
    StageSpec("audit", "base", AuditConfig, AuditRecord),
    StageSpec("sft", "train", SftConfig, SftRecord, uses_gpu=True),
    StageSpec("evaluate", "train", EvaluateConfig, EvaluateRecord, uses_gpu=True),
    StageSpec("inference", "train", InferenceConfig, InferenceRecord, uses_gpu=True),
    StageSpec("report", "base", ReportConfig, ReportRecord),
)
STAGES: dict[str, StageSpec] = {spec.name: spec for spec in _IMPLEMENTED}

DECLARED_STAGES: frozenset[str] = frozenset(
    {"dpo", "quantize", "serve", "loadtest", "chaos", "redteam", "profile", "dossier", "capstone", "iterate"}
)
"""Stages that the course needs and that this version does not run yet."""


def get_stage(name: str) -> StageSpec:
    """Return the stage named ``name``.

    Raises:
        ConfigError: The stage is unknown, or declared but not implemented.
    """
    if name in STAGES:
        return STAGES[name]
    if name in DECLARED_STAGES:
        raise ConfigError(
            f"stage '{name}' is part of the course but not of this version",
            "`practicum weeks` shows the weeks that run",
            Reason.STAGE_NOT_IMPLEMENTED,
        )
    raise ConfigError(f"unknown stage '{name}'{suggest_similar(name, STAGES)}", f"stages: {', '.join(STAGES)}")
