"""The planted bugs of the class: folders of data below ``exercises``, none of which the platform imports.

``exercise.yaml`` says what is seen, where to search and what is known to be the answer. The folders beside it are those
of a dossier: ``repro`` and ``good`` are what a student gets; ``fix`` and ``regression`` are the worked solution.
"""

from __future__ import annotations

from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, Field

from practicum_core.dossier_files import Axis, Repro
from practicum_core.errors import ConfigError, suggest_similar

FOLDER = Path(__file__).parent / "exercises"
DESCRIPTION = "exercise.yaml"
SCHEME = "exercise:"


class _Words(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    en: str
    zh: str


class Exercise(BaseModel):
    """A planted bug with its known answer."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    title: _Words
    seen: _Words = Field(description="What a student is told: how the failure shows.")
    repro: Repro = Field(default_factory=Repro)
    axes: list[Axis] = Field(min_length=1, description="Where to search, in order.")
    answer: dict[Axis, list[str]] = Field(description="Culprits by axis; on the other axes nothing is to be found.")
    cause: _Words
    read: list[str] = Field(min_length=1, description="Files of the platform from which to read on.")


def list_exercises() -> list[str]:
    """List the names of the planted bugs."""
    return sorted(path.parent.name for path in FOLDER.glob(f"*/{DESCRIPTION}"))


def read_exercise(name: str) -> Exercise:
    """Read a planted bug.

    Raises:
        ConfigError: There is none of this name.
    """
    if name not in list_exercises():
        known = list_exercises()
        raise ConfigError(f"no exercise '{name}'{suggest_similar(name, known)}", f"exercises: {', '.join(known)}")
    return Exercise.model_validate(yaml.safe_load((FOLDER / name / DESCRIPTION).read_text(encoding="utf-8")))
