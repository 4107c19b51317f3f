"""Configuration and record of the stage ``capstone``: checks the weeks of a course as one chain, and presents them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from practicum_core.metrics import Metric, StageMetric
from practicum_core.stages.base import EvidenceUris, StageConfig, StageRecord
from practicum_core.stages.spec import StageSpec
from practicum_core.stages.titles import figure, key_figure
from practicum_core.texts import Bilingual

Rerun = Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]+=[a-z0-9-]+/[a-z0-9-]+$", max_length=200)]


def parse_rerun(text: str) -> tuple[str, str, str]:
    """Return the step of this run, and the unit and step that it repeats.

    >>> parse_rerun("baseline=experiments/evaluate")
    ('baseline', 'experiments', 'evaluate')
    """
    step, _, target = text.partition("=")
    unit, _, of = target.partition("/")
    return step, unit, of


class CapstoneConfig(StageConfig):
    """Which weeks are presented, which steps were executed again, and how far both may differ."""

    weeks: EvidenceUris = Field(
        default=(), description="Evidence of the weeks, as references such as latest:sft/evidence/evidence.json."
    )
    expected: tuple[str, ...] = Field(
        default=(), description="Units that a whole chain has; one that no week stands for is told as absent."
    )
    reruns: tuple[Rerun, ...] = Field(
        default=(), description="Steps of this run that execute a step of a week again, each as STEP=UNIT/STEP."
    )
    shown: tuple[str, ...] = Field(
        default=(), description="More steps of this run whose figures the documents show, in this order."
    )
    tolerance: float = Field(
        default=0.02, ge=0, description="Allowed difference of a metric, relative to its size (at least 1)."
    )
    speed_ratio: float = Field(
        default=2.0,
        ge=1,
        description="Allowed ratio of a figure of the machine, such as a latency, at the near ends of 95% intervals.",
    )


class WeekCheck(BaseModel):
    """One week of the chain."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    unit: str
    run_id: str
    verdict: str = Field(description="Of its own gates: passed or failed.")
    num_files: int = Field(description="Files and artifacts whose hashes were compared.")
    num_broken: int = Field(description="Links of the chain that do not hold.")
    verified: str = Field(default="", description="How its last whole execution agreed; empty where there was none.")


class RerunCheck(BaseModel):
    """One step that was executed again."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    step: str = Field(description="Step of this run.")
    of: str = Field(description="UNIT/RUN_ID/STEP that it repeats.")
    agreement: str = Field(description="bit-equal, within tolerance, or differs.")
    num_compared: int
    differences: list[str] = Field(default_factory=list, description="What decides that it differs.")


class CapstoneRecord(StageRecord):
    """Whether the chain holds, and what was executed again."""

    weeks: list[WeekCheck]
    reruns: list[RerunCheck]
    shown: list[StageMetric] = Field(default_factory=list, description="Figures of the steps that are shown.")


METRICS = {
    "num_broken_links": key_figure("Broken links of the chain", "证据链中断处", "count"),
    "num_absent_weeks": figure("Weeks that are not presented", "未呈现的周数", "count"),
    "num_differing_reruns": key_figure("Repeated steps that differ", "重跑后不一致的步骤", "count"),
    "num_reruns": figure("Steps executed again", "重新执行的步骤", "count"),
    "num_weeks": figure("Weeks in the chain", "证据链中的周数", "count"),
    "num_weeks_passed": figure("Weeks whose gates passed", "门槛通过的周数", "count"),
    "num_hashes": figure("Hashes compared", "已比对的哈希", "count"),
}
FAILURES = {
    "week_absent": Bilingual("a week of the course is not presented", "缺少课程中的一周"),
    "record_changed": Bilingual("a recorded file was changed", "记录文件被改动"),
    "record_missing": Bilingual("a recorded file is gone", "记录文件缺失"),
    "artifact_changed": Bilingual("an artifact was changed", "产物被改动"),
    "artifact_missing": Bilingual("an artifact is gone", "产物缺失"),
    "data_changed": Bilingual("the data is not what the week read", "数据与该周读取的不同"),
    "data_unreadable": Bilingual(
        "the week cannot be repeated: its data cannot be read any more", "该周无法复现：数据已无法读取"
    ),
    "package_changed": Bilingual("packages are not those of the week", "软件包与该周不同"),
    "code_changed": Bilingual("the code is not that of the week", "代码与该周不同"),
    "pointer_moved": Bilingual("a pointer leads elsewhere by now", "指针已指向别处"),
    "foundation_changed": Bilingual("what a week was built on changed", "该周所依据的运行已改变"),
    "options_differ": Bilingual("the repeated step has other options", "重跑步骤的选项不同"),
    "rerun_differs": Bilingual("a repeated step differs from its record", "重跑结果与记录不一致"),
    "verification_differs": Bilingual("the week executed again differs", "整周重跑结果不一致"),
    "unsealed": Bilingual("a week's evidence has no seal", "该周证据没有封存哈希"),
}
HARMLESS_BREAKS = frozenset({"code_changed"})
"""Failures that are told and break nothing: the repeated steps tell whether other code changes a result."""


def describe_result(metrics: Mapping[str, Metric]) -> str:
    """Say in one sentence whether the chain holds.

    >>> describe_result({name: Metric(name=name, value=value) for name, value in
    ...     {"num_weeks": 6, "num_broken_links": 0, "num_reruns": 4, "num_differing_reruns": 1}.items()})
    'The chain of 6 weeks is whole; 1 of 4 repeated steps differs from its record'
    """
    if not {"num_weeks", "num_broken_links", "num_reruns", "num_differing_reruns"} <= metrics.keys():
        return ""
    weeks, broken, total, differing = (
        int(metrics[name].value) for name in ("num_weeks", "num_broken_links", "num_reruns", "num_differing_reruns")
    )
    chain = "is whole" if not broken else f"is broken at {broken} {'place' if broken == 1 else 'places'}"
    absent = int(metrics["num_absent_weeks"].value) if "num_absent_weeks" in metrics else 0
    if absent:
        chain += f", and {absent} {'week is' if absent == 1 else 'weeks are'} absent"
    if not differing:
        steps = f"{total} repeated steps agree with their records" if total else "no step was executed again"
    elif differing == 1:
        steps = f"1 of {total} repeated steps differs from its record"
    else:
        steps = f"{differing} of {total} repeated steps differ from their records"
    return f"The chain of {weeks} weeks {chain}; {steps}"


SPEC = StageSpec(
    "capstone",
    Bilingual(
        "checks the weeks as one chain and writes the documents of the defence",
        "检查各周的证据链并生成答辩文档",
    ),
    "base",
    CapstoneConfig,
    CapstoneRecord,
    metrics=METRICS,
    failures=FAILURES,
    headlines=("num_broken_links", "num_differing_reruns"),
    describe_result=describe_result,
)
