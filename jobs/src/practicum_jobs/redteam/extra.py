"""Probes of a teacher's own: a JSON Lines file."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from practicum_core.errors import DataError
from practicum_core.problems import list_problems
from practicum_core.stages.redteam import OWN_PREFIX, ProbeKind
from practicum_jobs.redteam.probes import Probe


class ProbeLine(BaseModel):
    """One line of the file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: ProbeKind
    language: str = Field(pattern=r"^(en|zh)$")
    prompt: str = Field(min_length=1)
    system: str = ""
    marker: str = ""


def read_probes(path: Path) -> list[Probe]:
    """Read a file of probes.

    Raises:
        DataError: The file is missing, or a line is none; it is named.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: {error}", "give a JSON Lines file with kind, language and prompt") from error
    probes = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            read = ProbeLine.model_validate_json(line)
        except ValidationError as error:
            raise DataError(
                f"{path}:{number}: {list_problems(error)[0]}", "give kind, language and prompt in every line"
            ) from error
        probes.append(Probe(read.kind, read.language, f"{OWN_PREFIX}{number}", read.prompt, read.system, read.marker))
    return probes
