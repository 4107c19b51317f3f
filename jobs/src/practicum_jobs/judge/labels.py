"""Known winners of pairs of the run, from a file of JSON lines such as the samples of an opened blind test."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from pathlib import Path

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, ValidationError

from practicum_core.errors import DataError
from practicum_core.problems import list_problems
from practicum_core.stages.judge import Winner
from practicum_jobs.context import StageContext

_FIX = 'give JSON lines such as {"id": "test-0000001", "winner": "candidate"}, with base, candidate or tie'


class _Label(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)

    id: str
    winner: Winner = Field(validation_alias=AliasChoices("winner", "preferred"))


def read_labels(uri: str, ctx: StageContext, pairs: AbstractSet[str]) -> dict[str, Winner]:
    """Return the known winners by the pair's id. Labels of pairs that are not judged are left out.

    Raises:
        DataError: The file cannot be read, holds a line that is no label or a pair twice, or knows none of the pairs.
    """
    path = Path(ctx.resolve_uri(uri, "data").removeprefix("file://"))
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: the labels cannot be read", _FIX) from error
    labels: dict[str, Winner] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            label = _Label.model_validate_json(line)
        except ValidationError as error:
            raise DataError(f"{path}: line {number}: {list_problems(error)[0]}", _FIX) from error
        if label.id in labels:
            raise DataError(f"{path}: line {number}: the pair {label.id} is there twice", _FIX)
        labels[label.id] = label.winner
    known = {name: winner for name, winner in labels.items() if name in pairs}
    if not known:
        raise DataError(f"{path}: none of its {len(labels)} labels is of a pair that is judged", _FIX)
    return known
