"""Configuration and record of the stage ``snapshot``: freezes the data by content and looks for leakage."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from practicum_core.stages.base import DataUri, StageConfig
from practicum_core.stages.leaks import LeaksRecord
from practicum_core.stages.spec import StageSpec
from practicum_core.stages.titles import figure, key_figure
from practicum_core.texts import Bilingual


class SnapshotConfig(StageConfig):
    """What to freeze and which leakage to accept."""

    data: DataUri = Field(default="builtin:tickets", description="URI of the data set.")
    ngram_words: int = Field(default=13, ge=5, description="Length of overlapping word n-grams (non-Chinese text).")
    ngram_chars: int = Field(default=24, ge=10, description="Length of overlapping character n-grams (Chinese text).")
    near_duplicate_threshold: float = Field(default=0.8, gt=0, le=1, description="Jaccard similarity of shingles.")
    waive_leakage: list[str] = Field(default_factory=list, description="Findings accepted by name.")
    needed_splits: dict[str, list[str]] = Field(
        default_factory=dict,
        description="Splits that later steps read, each with their names; filled in from their options.",
    )


class SplitLock(BaseModel):
    """One split, named by its content."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    sha256: str
    num_rows: int
    size_bytes: int


class DataLock(BaseModel):
    """The file ``data.lock.json``: which bytes a run read.

    A split's rows lie in the store as ``<cache>/objects/<first two digits>/<sha256>.jsonl``, one
    :class:`practicum_core.rows.Row` a line.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_version: int = 1
    uri: str
    generator_version: str = Field(
        default="", description="Version of the built-in generator, where one made the data."
    )
    splits: dict[str, SplitLock]


class SnapshotRecord(LeaksRecord):
    """Which data was frozen and what overlaps."""

    lock: DataLock


METRICS = {
    "unwaived_leaks": key_figure("Leaked rows without a waiver", "未豁免的泄漏行", "count"),
    "leaks_exact": figure("Evaluation rows equal to training rows", "与训练样本完全相同的评测样本", "count"),
    "leaks_near": figure("Near duplicates of training rows", "与训练样本近似重复的评测样本", "count"),
    "leaks_ngram": figure("Rows sharing long passages with training", "与训练数据共享长片段的样本", "count"),
    "data_size": figure("Size of the data", "数据大小", "bytes"),
    "num_{rest}_rows": figure("Rows of the split “{rest}”", "划分“{rest}”的行数", "count"),
}
FAILURES = {
    "leakage": Bilingual("leakage", "数据泄漏"),
}
SPEC = StageSpec(
    "snapshot",
    Bilingual("freezes the data by content and looks for leakage", "按内容冻结数据并检查泄漏"),
    "base",
    SnapshotConfig,
    SnapshotRecord,
    locks=frozenset({"data"}),
    metrics=METRICS,
    failures=FAILURES,
)
