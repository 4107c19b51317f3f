"""Configuration and record of the stage ``evaluate``: one model on the benchmark, or two paired."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import Field, field_validator

from practicum_core.metrics import Metric
from practicum_core.stages.base import StageConfig, StageRecord
from practicum_core.stages.spec import StageSpec
from practicum_core.stages.titles import figure, key_figure
from practicum_core.texts import Bilingual

_SEEN_SPLITS = frozenset({"train", "validation"})


class EvaluateConfig(StageConfig):
    """What to evaluate, on what, and how answers are generated (greedily)."""

    model: str = Field(default="builtin:smollm2-135m", description="URI of the base model.")
    candidate: str | None = Field(
        default=None, description="Model held against the base, row by row: a URI, or run:PATH inside the run."
    )
    split: str = Field(
        default="test",
        description="Split of the data that is scored; train and validation, which made the model, are not.",
    )
    control_split: str | None = Field(default=None, description="Split whose answers must not get worse.")
    limit: int | None = Field(default=None, ge=1, description="Rows at most, the first ones; all without it.")
    control_limit: int | None = Field(default=None, ge=1, description="Rows of the control split at most.")
    batch_size: int = Field(default=32, ge=1)
    max_new_tokens: int = Field(default=64, ge=1)
    confidence: float = Field(default=0.95, ge=0.95, lt=1, description="Of intervals; gates ask for 95% at least.")
    bootstrap_resamples: int = Field(default=2000, ge=100)

    @field_validator("split")
    @classmethod
    def _refuse_seen_rows(cls, split: str) -> str:
        """Refuse what a model was trained on or chosen by: every gate over an evaluation is about unseen rows."""
        if split in _SEEN_SPLITS:
            raise ValueError(f"models are made with the split {split}: score rows that none has seen, such as test")
        return split


class EvaluateRecord(StageRecord):
    """Scores with intervals; per-row results lie in ``samples.jsonl``."""

    num_rows: int
    num_control_rows: int = 0
    model: str
    candidate: str | None = None
    data_sha256: str = Field(description="Content hash of the scored split.")
    control_sha256: str = Field(default="", description="Content hash of the control split, where one was scored.")
    model_sha256: str = Field(default="", description="Of the base model's files, as in model.lock.json.")
    candidate_sha256: str = Field(default="", description="Of the candidate's files.")
    predictions_sha256: str = Field(description="Hash of every answer, in row order; equal for bit-equal runs.")
    dtype: str = Field(default="", description="Number format that answers were computed in.")
    device: str = ""
    num_threads: int = Field(default=0, description="Threads per operation; bit-equality holds for equal counts.")


def describe_result(metrics: Mapping[str, Metric]) -> str:
    """Say by how much the tuned model beats the base model, with the interval; empty where none was tuned."""
    delta = metrics.get("exact_match_delta")
    if delta is None:
        return ""
    low, high = delta.low, delta.high
    interval = f" (95% interval {low:+.3f} to {high:+.3f})" if low is not None and high is not None else ""
    base, tuned = metrics.get("exact_match_base"), metrics.get("exact_match_tuned")
    levels = f": base {base.value:.3f}, tuned {tuned.value:.3f}" if base and tuned else ""
    verb = "beats" if (low if low is not None else delta.value) > 0 else "does not beat"
    gain = f"{delta.value:+.3f} exact match{interval}{levels}"
    return f"The tuned model {verb} the base model on the test split by {gain}"


METRICS = {
    "exact_match": key_figure("Exact match", "完全匹配率", "share"),
    "exact_match_base": key_figure("Exact match, base model", "完全匹配率（基座）", "share"),
    "exact_match_tuned": key_figure("Exact match, tuned model", "完全匹配率（微调）", "share"),
    "exact_match_delta": key_figure("Exact match, tuned minus base", "完全匹配率之差（微调减基座）", "points"),
    "exact_match_interval_width": figure("Width of the exact-match interval", "完全匹配率区间宽度", "width"),
    "num_rows": figure("Rows", "行数", "count"),
    "num_control_rows": figure("Control rows", "对照样本数", "count"),
    "control_mentioned": key_figure("Control rows answered", "对照样本答出率", "share"),
    "control_mentioned_base": key_figure("Control rows answered, base model", "对照样本答出率（基座）", "share"),
    "control_mentioned_tuned": key_figure("Control rows answered, tuned model", "对照样本答出率（微调）", "share"),
    "control_mentioned_delta": key_figure("Control rows, tuned minus base", "对照样本之差（微调减基座）", "points"),
    "wins": figure("Rows put right by tuning", "微调后答对的样本", "count"),
    "losses": figure("Rows that got worse after tuning", "微调后变差的样本", "count"),
    "mcnemar_p": figure("McNemar's exact test, p", "McNemar 精确检验 p 值", "number"),
    "control_wins": figure("Control rows put right by tuning", "微调后答出的对照样本", "count"),
    "control_losses": figure("Control rows that got worse", "微调后变差的对照样本", "count"),
    "control_mcnemar_p": figure(
        "McNemar's exact test on control rows, p", "对照样本的 McNemar 精确检验 p 值", "number"
    ),
    "json_valid": figure("Answer is one JSON object", "回答是单个 JSON 对象", "share"),
    "stopped_ratio": figure("Answers that ended by themselves", "自行结束的回答占比", "share"),
    "mean_answer_tokens": figure("Mean length of an answer (tokens)", "回答的平均长度（词元）", "number"),
    "generate_s": figure("Time to generate", "生成耗时", "seconds"),
    "rows_per_s": figure("Rows per second", "每秒样本数", "number"),
    "tokens_per_s": figure("Tokens per second", "每秒词元数", "number"),
    "field_{rest}": figure("Field “{rest}” right", "字段“{rest}”正确", "share"),
    "exact_match_{rest}": figure("Exact match, {rest} rows", "完全匹配率，{rest} 类样本", "share"),
}
FAILURES = {
    "not_json": Bilingual("not one JSON object", "不是单个 JSON 对象"),
    "wrong_keys": Bilingual("other keys than asked for", "键与要求不符"),
    "empty": Bilingual("empty answer", "空回答"),
    "wrong_text": Bilingual("another text than expected", "文字与期望不符"),
    "wrong": Bilingual("wrong {rest}", "{rest} 错误"),
}
SPEC = StageSpec(
    "evaluate",
    Bilingual("scores answers on rows that were never trained on", "在未参与训练的样本上评分"),
    "train",
    EvaluateConfig,
    EvaluateRecord,
    uses_gpu=True,
    describe_result=describe_result,
    headlines=("exact_match", "exact_match_delta"),
    metrics=METRICS,
    failures=FAILURES,
)
