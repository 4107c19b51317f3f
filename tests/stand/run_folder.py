"""Finished runs as files alone: the record of every step of a unit, as its stage would have written it."""

from __future__ import annotations

import types
from typing import Literal, Union, get_args, get_origin

from pydantic import BaseModel

from practicum_core.curriculum import get_unit
from practicum_core.layout import RunLayout
from practicum_core.stages import STAGES

NOW = "2026-01-02T03:04:05.000+00:00"


def write_finished_run(root, unit):
    """Write the directory of a finished run of ``unit``, as a pod leaves it: without a status."""
    run = RunLayout(root)
    run.root.mkdir(parents=True)
    run.weekjob.write_text(f"metadata: {{name: x}}\nspec: {{unit: {unit}}}\n...\n")
    for step in get_unit(unit).steps:
        given = {"stage": step.stage, "step": step.name, "started_at": NOW, "finished_at": NOW}
        record = STAGES[step.stage].record
        run.stage(step.name).root.mkdir(parents=True)
        run.stage(step.name).record.write_text(fill(record, given).model_dump_json())
    return run


def fill(model, given=()):
    """Make a value of a model, the required fields as small as their types allow."""
    needed = {name: field.annotation for name, field in model.model_fields.items() if field.is_required()}
    return model.model_validate({name: _make(kind) for name, kind in needed.items()} | dict(given))


def _make(kind):
    origin = get_origin(kind)
    if origin is Literal:
        return get_args(kind)[0]
    if origin in (Union, types.UnionType):
        return None
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return fill(kind).model_dump()
    return (origin or kind)()
