"""Configuration, record and failure cases of the stage ``analyze``: why answers failed, and what tuning changed.

``failures.jsonl`` in the step's folder has one :class:`FailureCase` a line; other stages find a cause by the row's id.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from practicum_core.metrics import Metric
from practicum_core.stages.base import DataUri, StageConfig, StageRecord
from practicum_core.stages.samples import Sample, SampleGroup, SampleText, describe_failure, judge, list_nonempty
from practicum_core.stages.spec import SampleSpec, StageSpec
from practicum_core.stages.titles import figure
from practicum_core.texts import Bilingual

FAILURES_NAME = "failures.jsonl"
Change = Literal["regression", "fix", "still_wrong", ""]
"""What tuning did to a row: right to wrong, wrong to right, wrong before and after; empty where one model answered."""


class Cause(StrEnum):
    """Why an answer is wrong. Where several hold, the first in this order is the cause."""

    EMPTY = "empty"
    REFUSAL = "refusal"
    REPETITION = "repetition"
    TRUNCATION = "truncation"
    LANGUAGE = "language"
    FORMAT = "format"
    HALLUCINATED_FIELD = "hallucinated_field"
    FIELD = "field"
    CONTENT = "content"


CAUSE_TITLES = {
    Cause.EMPTY: Bilingual("Empty answer", "空回答"),
    Cause.REFUSAL: Bilingual("Refusal", "拒答"),
    Cause.REPETITION: Bilingual("Repetition", "重复"),
    Cause.TRUNCATION: Bilingual("Cut off", "被截断"),
    Cause.LANGUAGE: Bilingual("Wrong language", "语言错误"),
    Cause.FORMAT: Bilingual("Wrong format", "格式错误"),
    Cause.HALLUCINATED_FIELD: Bilingual("Invented field", "编造字段"),
    Cause.FIELD: Bilingual("Wrong field", "字段错误"),
    Cause.CONTENT: Bilingual("Wrong content", "内容错误"),
}


class AnalyzeConfig(StageConfig):
    """Which answers are analysed, and beside which training rows."""

    samples: DataUri = Field(
        default="run:stages/evaluate/samples.jsonl",
        description="Samples of an evaluation: a file, or run:PATH inside the run.",
    )
    train_split: str | None = Field(
        default="train", description="Split in which the nearest training rows are searched; none without it."
    )
    neighbours: int = Field(default=3, ge=1, le=10, description="Nearest training rows of each failure.")
    max_train_rows: int = Field(default=20_000, ge=1, description="Training rows that are searched, the first ones.")

    def list_splits(self) -> tuple[str, ...]:
        """List the split of the training rows."""
        return (self.train_split,) if self.train_split else ()


class Neighbour(BaseModel):
    """A training row that resembles a failed row."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str
    similarity: float = Field(description="Cosine of TF-IDF vectors of character n-grams, 0 to 1.")
    prompt: str = Field(description="The beginning of it.")
    answer: str = Field(description="The beginning of it.")


class FailureCase(BaseModel):
    """A row whose final answer is wrong."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str
    split: str = ""
    task: str = ""
    group: str = ""
    change: Change = ""
    cause: Cause
    causes: list[Cause] = Field(description="Every cause that holds, the decisive one first.")
    detail: str = Field(default="", description="What exactly: fields, keys, the repeated text.")
    expected: str = ""
    output: str = ""
    difference: int = Field(description="Characters in which the answer and the expected one differ.")
    nearest: list[Neighbour] = Field(default_factory=list)


class AnalyzeRecord(StageRecord):
    """How many answers failed, and why."""

    num_rows: int
    num_failures: int
    num_fixes: int
    num_regressions: int
    failures_file: str = Field(description="Relative to the run directory.")
    train_split: str | None = None


class AnalysisSample(Sample):
    """A failed row, or one that tuning put right, as a page shows it."""

    change: Change = ""
    cause: str = ""
    detail: str = ""
    base: str | None = None
    output: str = ""
    difference: int = 0
    nearest: list[Neighbour] = Field(default_factory=list)

    def list_texts(self) -> list[SampleText]:
        """List prompt, expected answer, both answers side by side, the cause and the nearest training rows."""
        is_right = self.change == "fix"
        texts = super().list_texts()
        if self.base is not None:
            texts.append(SampleText(Bilingual("Base model", "基座模型"), self.base, judge(self.change == "regression")))
        texts.append(SampleText(Bilingual("Answer", "回答"), self.output, judge(is_right)))
        texts += describe_failure(self.cause)
        if self.detail:
            texts.append(SampleText(Bilingual("Exactly", "具体"), self.detail))
        nearest = "\n".join(f"{one.id} ({one.similarity:.2f}): {one.prompt} → {one.answer}" for one in self.nearest)
        return (
            [*texts, SampleText(Bilingual("Nearest training rows", "最相近的训练样本"), nearest)] if nearest else texts
        )


def group_samples(samples: Sequence[AnalysisSample]) -> list[SampleGroup]:
    """Group the rows: regressions, fixes, then what is still wrong by cause; each group in the order of the file."""
    regressions = [one for one in samples if one.change == "regression"]
    fixes = [one for one in samples if one.change == "fix"]
    rest = [one for one in samples if one.change not in {"regression", "fix"}]
    return list_nonempty(
        SampleGroup(Bilingual("Regressions, largest difference first", "退步，差异最大的在前"), "bad", regressions),
        SampleGroup(Bilingual("Fixes, largest difference first", "改正，差异最大的在前"), "good", fixes),
        *(
            SampleGroup(
                Bilingual("Failed: {cause}", "失败：{cause}").format(cause=title),
                "plain",
                [one for one in rest if one.cause == cause],
            )
            for cause, title in CAUSE_TITLES.items()
        ),
    )


def describe_result(metrics: Mapping[str, Metric]) -> str:
    """Say how many answers failed and what the most frequent cause is."""
    failures = metrics.get("failed_answers")
    if failures is None:
        return ""
    if not failures.value:
        return "No answer failed: there is nothing to repair."
    causes = {name.removeprefix("cause_"): one.value for name, one in metrics.items() if name.startswith("cause_")}
    top = max(causes, key=lambda name: causes[name])
    return f"{failures.value:.0f} answers failed; the most frequent cause is {top} ({causes[top]:.0f})."


METRICS = {
    "failed_answers": figure("Answers that failed", "失败的回答", "count"),
    "fixed_answers": figure("Rows put right by tuning", "微调后答对的样本", "count"),
    "regressed_answers": figure("Rows that got worse after tuning", "微调后变差的样本", "count"),
    **{
        f"cause_{cause}": figure(f"Failures: {title.en.lower()}", f"失败：{title.zh}", "count")
        for cause, title in CAUSE_TITLES.items()
    },
}
SPEC = StageSpec(
    "analyze",
    Bilingual(
        "groups failed answers by cause and finds the nearest training rows",
        "按原因归类失败的回答，并找出最相近的训练样本",
    ),
    "base",
    AnalyzeConfig,
    AnalyzeRecord,
    samples=SampleSpec(AnalysisSample, group_samples),
    metrics=METRICS,
    failures={str(cause): title for cause, title in CAUSE_TITLES.items()},
    describe_result=describe_result,
)
