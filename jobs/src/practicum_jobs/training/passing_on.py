"""Training that a decision leaves out: the model is passed on as it is, so that later steps find one."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from practicum_core.errors import DataError
from practicum_core.problems import list_problems
from practicum_core.stages.repair import Decision
from practicum_core.stages.training import EXPORTS, TrainingConfig, TrainingRecord
from practicum_jobs.adapters.atomic_folder import replace_folder
from practicum_jobs.context import StageContext
from practicum_jobs.models.sources import ensure_model

Record = TypeVar("Record", bound=TrainingRecord)


def read_decision(config: TrainingConfig, ctx: StageContext) -> Decision | None:
    """Read the decision that the options name; ``None`` where they name none.

    Raises:
        ConfigError: The file is not there.
        DataError: It is no decision.
    """
    if config.decision is None:
        return None
    path = Path(ctx.resolve_uri(config.decision, "data").removeprefix("file://"))
    try:
        return Decision.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        why = list_problems(error)[0] if isinstance(error, ValidationError) else error.strerror
        raise DataError(f"{path}: {why}", "give the file that the stage iterate writes, or leave it out") from error


def pass_model_on(model: type[Record], config: TrainingConfig, ctx: StageContext, decision: Decision) -> Record:
    """Export the model that training would have replaced, and return a record that says why nothing was trained.

    Args:
        model: The stage's record.
        config: Options of the run; ``otherwise`` or ``model`` is passed on.
        ctx: The step's context.
        decision: A decision against training.

    Raises:
        ConfigError: The model does not exist or is not usable.
        PlatformError: No space or no permission.
    """
    source = ensure_model(ctx.resolve_uri(config.otherwise or config.model), ctx.cache_dir).path
    target = ctx.layout.root / EXPORTS["merged"].path
    replace_folder(target, lambda folder: _copy_files(source, folder))
    reasons = "; ".join(reason.title_en for reason in decision.list_reasons())
    return model(
        method=config.method,
        num_steps=0,
        num_train_rows=0,
        num_trainable_parameters=0,
        num_parameters=0,
        num_tokens=0,
        skipped=decision.list_reasons(),
        artifacts=[ctx.describe_artifact(target, "the model as it was: nothing was trained")],
        notes=[f"nothing was trained ({reasons}); {config.otherwise or config.model} is passed on"],
        **ctx.build_record_fields(),
    )


def _copy_files(source: Path, folder: Path) -> None:
    """Link the files of a model into a folder; copy them where the disk cannot link."""
    for file in source.iterdir():
        if not file.is_file():
            continue
        try:
            os.link(file.resolve(), folder / file.name)
        except OSError:
            shutil.copy(file, folder / file.name)
