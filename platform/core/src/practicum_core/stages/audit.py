"""Configuration and record of the stage ``audit``: what is wrong with a data set, row by row, and a clean copy."""

from __future__ import annotations

from pydantic import Field

from practicum_core.data_formats import Format
from practicum_core.stages.base import DataUri, OptionalModelUri, StageConfig
from practicum_core.stages.findings import FindingsRecord
from practicum_core.stages.spec import Export, StageSpec
from practicum_core.stages.titles import figure, key_figure
from practicum_core.texts import Bilingual


class AuditConfig(StageConfig):
    """What to audit and where a finding becomes a warning or a failure."""

    data: DataUri = Field(default="builtin:tickets-flawed", description="URI of the data set, or a file's path.")
    model: OptionalModelUri = Field(
        default="builtin:smollm2-135m", description="Model whose tokenizer and chat template measure lengths."
    )
    format: Format = Field(default="auto", description="Of the rows; auto tells it row by row by their columns.")
    encoding: str = Field(default="utf-8", description="Of text files, such as gbk, gb18030, big5 or utf-16.")
    max_length: int = Field(default=1024, ge=16, description="Tokens after which a row would be truncated.")
    near_duplicate_threshold: float = Field(default=0.8, gt=0, le=1, description="Jaccard similarity of shingles.")
    num_permutations: int = Field(default=36, ge=16, le=1024)
    max_row_bytes: int = Field(default=1_000_000, ge=1_000, description="A longer row is refused, not read.")
    num_samples: int = Field(default=5, ge=0, description="Masked samples kept per finding.")
    clean_copy: bool = Field(default=True, description="Write the rows that pass, and a manifest of the others.")
    fail_ratios: dict[str, float] = Field(
        default_factory=dict,
        description="Share of rows above which a finding fails, by the finding's name, where not the usual one.",
    )
    workers: int | None = Field(
        default=None, ge=1, le=64, description="Processes that analyse rows; without it, one per core."
    )


class AuditRecord(FindingsRecord):
    """What the audit found."""


METRICS = {
    "min_recall": key_figure("Lowest recall over planted flaws", "植入缺陷的最低召回率", "share"),
    "min_precision": key_figure("Lowest precision over planted flaws", "植入缺陷的最低精确率", "share"),
    "clean_copy_failures": key_figure("Failing findings in the clean copy", "清洗后数据中未通过的检查项", "count"),
    "num_clean_rows": figure("Rows in the clean copy", "清洗后行数", "count"),
    "duplicate_ratio": figure("Duplicates, exact and near", "重复行占比（完全重复与近似重复）", "share"),
    "exact_duplicate_ratio": figure("Exact duplicates", "完全重复行占比", "share"),
    "near_duplicate_ratio": figure("Near duplicates", "近似重复行占比", "share"),
    "leaked_rows": figure("Evaluation rows in the training data", "训练数据中的评测样本", "count"),
    "pii_rows": figure("Rows with personal data", "含个人信息的行", "count"),
    "secret_rows": figure("Rows with secrets", "含密钥的行", "count"),
    "broken_rows": figure("Unreadable lines", "无法读取的行", "count"),
    "truncation_ratio": figure("Rows longer than max_length", "超过 max_length 的行占比", "share"),
    "recall:{rest}": figure("Recall: {rest}", "召回率：{rest}", "share"),
    "precision:{rest}": figure("Precision: {rest}", "精确率：{rest}", "share"),
    "tokens_{rest}": figure("Tokens of a row, {rest}", "每行词元数，{rest}", "count"),
}
SPEC = StageSpec(
    "audit",
    Bilingual("looks for defects row by row and writes a clean copy", "逐行查找缺陷，并写出清洗后的副本"),
    "base",
    AuditConfig,
    AuditRecord,
    exports={"clean": Export("artifacts/clean", "data")},
    metrics=METRICS,
)
