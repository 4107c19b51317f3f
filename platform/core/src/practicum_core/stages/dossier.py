"""Configuration and record of the stage ``dossier``: from a failure to its cause, its fix and a regression test."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from practicum_core.dossier_files import Axis, State
from practicum_core.environments import ENVIRONMENTS
from practicum_core.metrics import Metric
from practicum_core.stages.base import StageConfig, StageRecord
from practicum_core.stages.samples import Sample, SampleGroup, SampleText, judge, list_nonempty
from practicum_core.stages.spec import SampleSpec, StageSpec
from practicum_core.stages.titles import figure, key_figure
from practicum_core.texts import Bilingual

_ENVIRONMENT = "base"
Action = Literal["all", "new", "run", "bisect", "close"]


class DossierConfig(StageConfig):
    """Which dossiers to work on: those of planted bugs, from beginning to end, or the one in a folder."""

    exercises: list[str] = Field(default_factory=list, description="Planted bugs to work through; all without it.")
    folder: str = Field(default="", description="Folder of a dossier to work on in place of exercises.")
    action: Action = Field(default="all", description="What to do with the dossier in the folder.")
    source: str = Field(default="", description="For new: exercise:NAME, or the directory of a failed run.")
    step: str = Field(default="", description="For new: the step of that run that failed.")
    good: str = Field(default="", description="For new: directory of a run whose step of that name ended well.")
    timeout_s: float = Field(
        default=600.0, gt=0, description="For new: seconds after which an execution of that step counts as hung."
    )
    axis: Axis = Field(default=Axis.ROWS, description="For bisect: where to search.")
    repository: str = Field(default="", description="For bisect over commits: folder of a git repository.")
    good_commit: str = Field(default="", description="For bisect over commits: one that is known to be good.")
    bad_commit: str = Field(default="HEAD", description="For bisect over commits: one that fails.")
    repeats: int = Field(
        default=5, ge=2, le=100, description="Executions of a case that a conclusion stands on; they must all agree."
    )
    environment: str = Field(default=_ENVIRONMENT, description="Environment that repros run in.")

    @field_validator("environment")
    @classmethod
    def _check_environment(cls, environment: str) -> str:
        if environment not in ENVIRONMENTS:
            raise ValueError(f"no such environment; there are {', '.join(ENVIRONMENTS)}")
        return environment

    @model_validator(mode="after")
    def _check_action(self) -> DossierConfig:
        if self.action != "all" and not self.folder:
            raise ValueError(f"action {self.action} needs the folder of a dossier")
        if (self.action == "new") != bool(self.source):
            raise ValueError("source belongs to action new")
        if bool(self.repository) != bool(self.good_commit):
            raise ValueError("a search over commits needs repository and good_commit")
        return self


class DossierSummary(BaseModel):
    """One dossier as it stands."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    source: str
    state: State
    symptom: str
    culprits: dict[Axis, list[str]] = Field(default_factory=dict)
    page: str = Field(description="Relative to the run directory, or absolute for a dossier outside of it.")
    num_executions: int = Field(description="Executions of all its searches.")


class DossierRecord(StageRecord):
    """The dossiers that were worked on."""

    dossiers: list[DossierSummary]


class DossierSample(Sample):
    """One dossier: ``prompt`` is the symptom, ``expected`` the known cause, ``found`` what the searches named."""

    found: str = ""
    is_right: bool | None = None
    state: str = ""
    reading: str = ""

    def list_texts(self) -> list[SampleText]:
        """List the symptom, the known cause and what was found."""
        known = [SampleText(_KNOWN, self.expected)] if self.expected else []
        reading = [SampleText(_READING, self.reading)] if self.reading else []
        return [
            SampleText(_SYMPTOM, self.prompt),
            *known,
            SampleText(_FOUND, self.found, judge(self.is_right)),
            *reading,
        ]


_SYMPTOM = Bilingual("Symptom", "症状")
_KNOWN = Bilingual("Known cause", "已知原因")
_FOUND = Bilingual("Named by the searches", "查找所指认")
_READING = Bilingual("Read on from here", "由此继续阅读")


def group_samples(samples: Sequence[DossierSample]) -> list[SampleGroup]:
    """Group dossiers by whether they are closed."""
    return list_nonempty(
        SampleGroup(Bilingual("Not closed", "未关闭"), "bad", [one for one in samples if one.state != State.CLOSED]),
        SampleGroup(
            Bilingual("Closed", "已关闭"), "good", [one for one in samples if one.state == State.CLOSED], is_open=True
        ),
    )


METRICS = {
    "num_dossiers": key_figure("Dossiers", "档案数", "count"),
    "num_closed": key_figure("Closed", "已关闭", "count"),
    "num_executions": figure("Executions of the searches", "查找的执行次数", "count"),
    "not_reproduced": figure("Repros that did not reproduce each time", "未能每次复现的复现程序", "count"),
    "causes_missed": figure(
        "Dossiers without the cause, or with another than the known one", "原因缺失或与已知不符的档案", "count"
    ),
    "not_red_before": figure("Regression tests that did not fail without the fix", "修复前未失败的回归测试", "count"),
    "not_green_after": figure("Regression tests that did not pass with the fix", "修复后未通过的回归测试", "count"),
}
FAILURES = {"not_closed": Bilingual("dossier not closed", "档案未关闭")}


def describe_result(metrics: Mapping[str, Metric]) -> str:
    """Say how many dossiers are closed.

    >>> describe_result({"num_dossiers": Metric(name="num_dossiers", value=3), "num_closed": Metric(name="x", value=2)})
    '2 of 3 dossiers are closed'
    """
    number, closed = metrics.get("num_dossiers"), metrics.get("num_closed")
    return f"{closed.value:.0f} of {number.value:.0f} dossiers are closed" if number and closed else ""


def _choose_environment(config: DossierConfig) -> str:
    return config.environment


SPEC = StageSpec(
    "dossier",
    Bilingual(
        "goes from failures to their causes, fixes and regression tests", "从失败出发，找到原因、修复并写出回归测试"
    ),
    "base",
    DossierConfig,
    DossierRecord,
    other_environments=tuple(name for name in ENVIRONMENTS if name != _ENVIRONMENT),
    choose_environment=_choose_environment,
    metrics=METRICS,
    failures=FAILURES,
    samples=SampleSpec(DossierSample, group_samples),
    headlines=("num_closed",),
    describe_result=describe_result,
)
