"""Configuration, record and samples of the stage ``iterate``: better data from the failures of an evaluation.

``lineage.jsonl`` in the step's artifacts has one :class:`NewRow` a line: every new row names the failure it came from.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from practicum_core.metrics import Metric
from practicum_core.stages.analyze import CAUSE_TITLES, Cause
from practicum_core.stages.base import DataUri, StageConfig
from practicum_core.stages.repair import RepairRecord
from practicum_core.stages.samples import Sample, SampleGroup, SampleText, describe_failure, list_nonempty
from practicum_core.stages.spec import Export, SampleSpec, StageSpec
from practicum_core.stages.titles import figure, key_figure
from practicum_core.texts import Bilingual

RowKind = Literal["reference", "variant", "general", "pair"]
"""The failed prompt with its reference answer; the same with other numbers; a general question; a preference pair."""


class IterateConfig(StageConfig):
    """Which failures are repaired, and how much new data is made of them."""

    data: DataUri = Field(default="builtin:tickets", description="URI of the data set that was evaluated.")
    failures: DataUri = Field(
        default="latest:evaluate/stages/analyze/failures.jsonl",
        description="Failures as the stage analyze writes them.",
    )
    samples: DataUri = Field(
        default="latest:evaluate/stages/evaluate/samples.jsonl",
        description="Samples of the evaluation that failed: the rows that were looked at.",
    )
    train_rows: int | None = Field(default=None, ge=1, description="Rows of the training split that are kept at most.")
    variants: int = Field(
        default=3,
        ge=0,
        le=20,
        description="Tickets with another order number and amount made of each failed ticket; other rows get none.",
    )
    general_rows: int = Field(
        default=40, ge=0, le=200, description="General questions added at most where the control set failed."
    )
    fresh_rows: int | None = Field(default=None, ge=1, description="Rows of the fresh split at most.")
    min_pairs: int = Field(default=8, ge=2, description="Preference pairs below which DPO is not worth it.")
    max_dropped_ratio: float = Field(
        default=0.2, ge=0, le=1, description="Share of unusable pairs that speaks against DPO."
    )
    max_length_gap: float = Field(
        default=0.5, gt=0, description="Relative difference in length of both sides that speaks against DPO."
    )
    max_cut_ratio: float = Field(
        default=0.5, ge=0, le=1, description="Share of empty or cut off answers that speaks against DPO."
    )

    def list_splits(self) -> tuple[str, ...]:
        """List the splits that are kept; the evaluated ones are named by the samples."""
        return ("train", "validation")


class NewRow(BaseModel):
    """Where a new row came from."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str
    kind: RowKind
    failure: str = Field(description="The failure as SPLIT/ID.")
    cause: Cause


class IterateRecord(RepairRecord):
    """Which data was made of which failures."""

    failures_read: int
    data: str = Field(description="Folder of the enlarged data set, relative to the run directory.")
    lineage: str = Field(description="File of the new rows and their failures, relative to the run directory.")
    pairs: str = Field(default="", description="Folder of the preference pairs; empty where there are none.")


class RepairSample(Sample):
    """A new row beside the failure that it came from."""

    kind: RowKind = "reference"
    failure: str = ""
    cause: str = ""
    chosen: str = ""
    rejected: str | None = None

    def list_texts(self) -> list[SampleText]:
        """List the failure, its cause, the prompt, and the answers of the new row."""
        texts = [SampleText(_FROM, self.failure), *describe_failure(self.cause), SampleText(_PROMPT, self.prompt)]
        texts.append(SampleText(_CHOSEN if self.rejected is not None else _ANSWER, self.chosen, "good"))
        return texts if self.rejected is None else [*texts, SampleText(_REJECTED, self.rejected, "bad")]


_FROM = Bilingual("Comes from the failure", "来自失败样本")
_PROMPT = Bilingual("Prompt", "提示词")
_ANSWER = Bilingual("Answer to learn", "要学习的回答")
_CHOSEN = Bilingual("Chosen", "chosen")
_REJECTED = Bilingual("Rejected: the model's own answer", "rejected：模型自己的回答")
_GROUPS: Mapping[RowKind, Bilingual] = {
    "pair": Bilingual("Preference pairs", "偏好对"),
    "reference": Bilingual(
        "New training rows: failed prompts with their reference answers", "新训练样本：失败的提示词与参考答案"
    ),
    "variant": Bilingual("New training rows: the same with other numbers", "新训练样本：同样的内容，换用其他数字"),
    "general": Bilingual("New training rows: general questions against forgetting", "新训练样本：防止遗忘的通用问题"),
}


def group_samples(samples: Sequence[RepairSample]) -> list[SampleGroup]:
    """Group the new rows by kind."""
    return list_nonempty(
        *(
            SampleGroup(title, "plain", [one for one in samples if one.kind == kind], is_open=kind == "pair")
            for kind, title in _GROUPS.items()
        )
    )


def describe_result(metrics: Mapping[str, Metric]) -> str:
    """Say how many new rows and pairs were made, or that there is nothing to repair."""
    values = {name: metric.value for name, metric in metrics.items()}
    if "repaired_failures" not in values:
        return ""
    if not values["repaired_failures"]:
        left = values.get("unrepaired_failures")
        if left:
            return f"Nothing was repaired: {left:.0f} failures gave no row."
        return "Nothing to repair: no answer failed."
    choice = "DPO is worth a try" if values.get("use_dpo") else "no DPO"
    return (
        f"{values['repaired_failures']:.0f} failures became {values['new_rows']:.0f} training rows and "
        f"{values['num_pairs']:.0f} preference pairs; {choice}."
    )


SPEC = StageSpec(
    "iterate",
    Bilingual("makes training rows and preference pairs from failures", "由失败样本生成训练样本和偏好对"),
    "base",
    IterateConfig,
    IterateRecord,
    samples=SampleSpec(RepairSample, group_samples),
    metrics={
        "repaired_failures": key_figure("Failures that gave new rows", "产生新样本的失败数", "count"),
        "unrepaired_failures": figure("Failures that gave no new row", "未产生新样本的失败数", "count"),
        "new_rows": key_figure("New training rows", "新训练样本", "count"),
        "num_pairs": key_figure("Preference pairs", "偏好对", "count"),
        "dropped_pairs": figure("Pairs left out", "未采用的偏好对", "count"),
        "unlinked_rows": figure("New rows without a failure that they came from", "无失败来源的新样本", "count"),
        "leaked_pairs": figure("Pairs in the fresh or control split", "出现在新划分或对照集中的偏好对", "count"),
        "length_gap": figure("Length of rejected answers against chosen ones", "rejected 与 chosen 的长度差", "number"),
        "use_dpo": figure("DPO is worth a try", "值得进行 DPO", "count"),
        "fresh_rows": figure("Rows of the fresh split", "新划分的行数", "count"),
        "fresh_left_out": figure("Fresh rows left out for overlap", "因重叠未采用的新样本", "count"),
        "slice_rows": figure("Fresh rows of the failing slice", "新划分中属于失败切片的样本", "count"),
    },
    failures={str(cause): title for cause, title in CAUSE_TITLES.items()},
    describe_result=describe_result,
    exports={"data": Export("artifacts/data", "data"), "pairs": Export("artifacts/pairs", "data")},
)
