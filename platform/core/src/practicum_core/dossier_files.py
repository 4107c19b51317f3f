"""The dossier of one failure: what was captured, tried, found, fixed and tested, as ``dossier.json`` keeps it.

What the dossier says of itself is computed from what was measured: no field says "closed", so none can say it falsely.
"""

from __future__ import annotations

import re
from enum import StrEnum
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from practicum_core.atomic import write_json_atomic
from practicum_core.errors import DataError, Reason
from practicum_core.problems import list_problems
from practicum_core.texts import Bilingual

DOSSIER_NAME, PAGE_NAME = "dossier.json", "index.html"
_VARYING = re.compile(r"0x[0-9a-f]+|[-+]?[0-9][0-9.,e+-]*|/\S+")


class Axis(StrEnum):
    """Where a cause is searched."""

    ROWS = "rows"
    CONFIG = "config"
    EDITS = "edits"
    COMMITS = "commits"
    PACKAGES = "packages"


class Outcome(StrEnum):
    """What one execution showed."""

    GOOD = "good"
    """It ended well."""
    BAD = "bad"
    """It failed with the symptom of the dossier."""
    UNCLEAR = "unclear"
    """It failed with something else, or could not be judged."""


class Verdict(StrEnum):
    """What repeated executions of one case amount to."""

    REPRODUCED = "reproduced"
    NOT_REPRODUCED = "not_reproduced"
    FLAKY = "flaky"
    """Equal executions ended differently."""


class SearchVerdict(StrEnum):
    """What a search along one axis found."""

    FOUND = "found"
    """With the culprits it fails, without them it does not; both were repeated."""
    NOT_HERE = "not_here"
    """It fails whatever is chosen on this axis, or also with what was known to be good."""
    FLAKY = "flaky"
    """Equal executions ended differently, so that a search would name something at random."""
    UNCLEAR = "unclear"
    """The failure could not be narrowed down: without the culprits, something else fails."""


class State(StrEnum):
    """How far a dossier is."""

    OPEN = "open"
    REPRODUCED = "reproduced"
    LOCATED = "located"
    CLOSED = "closed"


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Symptom(_Part):
    """How a failure shows: its kind, and one line of what was printed."""

    reason: str = Field(description="A reason of the platform, the class of an exception, or a signal.")
    text: str

    def is_same_as(self, other: Symptom) -> bool:
        """Whether both show the same failure: numbers, addresses and paths in the text may differ.

        >>> Symptom(reason="E", text="loss nan at 3").is_same_as(Symptom(reason="E", text="loss nan at 12"))
        True
        """
        return self.reason == other.reason and _normalize(self.text) == _normalize(other.text)


class Repro(_Part):
    """What is executed: a program of the dossier's own, or a stage of the platform as the failed run configured it."""

    kind: Literal["program", "stage"] = "program"
    environment: str = Field(default="base", description="Named set of packages that it runs in.")
    stage: str = Field(default="", description="Stage and step of the failed run, where it is a stage.")
    step: str = ""
    run: str = Field(default="", description="Directory of the failed run, for the inputs that were not copied.")
    split: str = Field(default="", description="Split whose rows are in rows.jsonl, where the stage reads one.")
    timeout_s: float = Field(default=60.0, gt=0, description="After that an execution counts as hung.")


class Reproduction(_Part):
    """Repeated executions of one case."""

    verdict: Verdict
    num_runs: int
    num_bad: int = Field(description="Executions that showed the symptom.")
    seen: list[Symptom] = Field(default_factory=list, description="Every other failure that was seen, once.")


class Search(_Part):
    """A hypothesis, that the cause lies on one axis, and what became of it."""

    axis: Axis
    verdict: SearchVerdict
    culprits: list[str] = Field(default_factory=list, description="Ids of rows, keys, a commit, or packages.")
    num_candidates: int
    num_trials: int
    detail: str = Field(default="", description="What stood in the way, if anything did.")


class TestOutcome(_Part):
    """What the regression test showed, unanimously over its repetitions where ``is_stable``."""

    __test__ = False  # not a class of tests

    passed: list[str] = Field(default_factory=list)
    failed: list[str] = Field(default_factory=list, description="A check did not hold, or the tested code raised.")
    broken: list[str] = Field(default_factory=list, description="Could not be loaded, or was skipped.")
    is_stable: bool = True
    text: str = Field(default="", description="Last line of the first failure.")


class Closing(_Part):
    """An attempt to close the dossier; without a problem, it is closed."""

    before: TestOutcome | None = None
    after: TestOutcome | None = None
    with_fix: Reproduction | None = Field(default=None, description="The repro with the fix.")
    problems: list[str] = Field(default_factory=list)
    problems_zh: list[str] = Field(default_factory=list, description="The same in Chinese.")
    material_sha256: str = Field(default="", description="Of the repro, the fix and the test.")

    def describe_problems(self) -> Bilingual:
        """Return the problems as one text, if there are any; a file from before they had Chinese has English alone."""
        return Bilingual("; ".join(self.problems), "；".join(self.problems_zh or self.problems))


class Event(_Part):
    """One line of the time line."""

    at: str
    en: str
    zh: str


class Dossier(_Part):
    """The file ``dossier.json``."""

    schema_version: int = 1
    name: str
    title_en: str
    title_zh: str
    source: str = Field(description="exercise:NAME, or UNIT/RUN_ID of the failed run.")
    created_at: str
    symptom: Symptom
    repro: Repro
    repro_sha256: str = Field(
        default="", description="Of the folder of the repro that everything here was measured on."
    )
    captured: list[str] = Field(default_factory=list, description="Files that were taken over from the failed run.")
    reproduction: Reproduction | None = None
    minimal: Reproduction | None = Field(default=None, description="Of the repro with nothing but the culprits.")
    searches: list[Search] = Field(default_factory=list, description="The last one of each axis.")
    cause: str = Field(default="", description="The cause in words.")
    cause_zh: str = Field(default="", description="The same in Chinese, where it is known in both languages.")
    closing: Closing | None = None
    events: list[Event] = Field(default_factory=list)

    @property
    def state(self) -> State:
        """How far it is, by what was measured last."""
        if self.reproduction is None or self.reproduction.verdict is not Verdict.REPRODUCED:
            return State.OPEN
        if not self.culprits:
            return State.REPRODUCED
        is_closed = self.closing is not None and not self.closing.problems
        return State.CLOSED if is_closed else State.LOCATED

    @property
    def culprits(self) -> dict[Axis, list[str]]:
        """What was found to make the difference, by axis."""
        return {one.axis: one.culprits for one in self.searches if one.verdict is SearchVerdict.FOUND}


def _normalize(text: str) -> str:
    return _VARYING.sub("#", text).strip()


def read_dossier(folder: Path) -> Dossier:
    """Read the dossier of a folder.

    Raises:
        DataError: There is none, or it is malformed.
    """
    path = folder / DOSSIER_NAME
    try:
        return Dossier.model_validate_json(path.read_bytes())
    except OSError as error:
        raise DataError(
            f"{path}: no dossier lies here ({error.strerror})",
            "make one with `practicum dossier new RUN`",
            Reason.DATA_MISSING,
        ) from error
    except ValidationError as error:
        raise DataError(f"{path}: {list_problems(error)[0]}", "make the dossier anew") from error


def write_dossier(folder: Path, dossier: Dossier) -> None:
    """Replace ``dossier.json`` of a folder."""
    write_json_atomic(folder / DOSSIER_NAME, dossier.model_dump(mode="json"))
