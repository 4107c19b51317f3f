"""Configuration, record and samples of the stage ``judge``: a judge compares answers, and is checked itself.

A judge is asked about every pair in both orders, about a gold set whose answers are known, and about a few known pairs
(canaries) at the start, in the middle and at the end. A judge that misses the bar is shown and decides nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from practicum_core.metrics import Metric
from practicum_core.stages.base import DataUri, OptionalDataUri, OptionalModelUri, StageConfig
from practicum_core.stages.calibration import CalibrationRecord
from practicum_core.stages.samples import Sample, SampleGroup, SampleText, list_nonempty
from practicum_core.stages.server_addresses import check_server_address
from practicum_core.stages.spec import SampleSpec, StageSpec
from practicum_core.stages.titles import figure, key_figure
from practicum_core.texts import Bilingual

Winner = Literal["base", "candidate", "tie"]
Preference = Literal["candidate", "base", "none", "not_calibrated"]


class Unusable(StrEnum):
    """Why an answer of a judge gives no verdict. It is counted and never guessed at."""

    EMPTY = "empty"
    PROSE = "prose"
    GARBAGE = "garbage"
    REFUSAL = "refusal"
    CUT_OFF = "cut_off"
    NO_ANSWER = "no_answer"


class JudgeConfig(StageConfig):
    """Which answers are judged, by whom, and what a judge must show before it may decide a gate.

    The scorers of the course compare both answers with the reference, or a model is asked: at ``url``, or in the
    stage's own process (``local_model``), where the most probable of the letters A, B and C (a tie) is its verdict.
    """

    samples: DataUri = Field(
        default="run:stages/evaluate/samples.jsonl",
        description="Samples of an evaluation of two models: a file, or run:PATH inside the run.",
    )
    limit: int = Field(default=100, ge=1, description="Pairs of the scored split that are judged, the first ones.")
    url: str | None = Field(
        default=None,
        description="OpenAI-compatible address of a judge model, such as http://HOST:8000/v1, or step:NAME.",
    )
    model_name: str = Field(default="", description="Name of the judge model at that address.")
    local_model: OptionalModelUri = Field(
        default=None, description="Judge model in this process, by log-probability; none without it."
    )
    batch_size: int = Field(default=8, ge=1, description="Questions that a judge in this process computes at once.")
    key_variable: str = Field(
        default="PRACTICUM_JUDGE_KEY",
        pattern=r"^[A-Za-z_][A-Za-z0-9_]*$",
        description="Environment variable that holds the API key; no key is sent where it is not set.",
    )
    response_format: Literal["json_schema", "json_object", "none"] = Field(
        default="json_object", description="What the server is told about the form of its answer."
    )
    timeout_s: float = Field(default=60.0, gt=0, le=600, description="Of one question, with all of its answer.")
    retries: int = Field(default=2, ge=0, le=10, description="After a time-out, a lost connection, or HTTP 429 or 5xx.")
    concurrency: int = Field(default=4, ge=1, le=64, description="Questions at the same time.")
    max_tokens: int = Field(default=128, ge=8, description="Of one answer of the judge.")
    show_reference: bool = Field(default=True, description="Whether the judge sees the expected answer.")
    labels: OptionalDataUri = Field(
        default=None,
        description="Known winners of some of these pairs, drawn at random: a file of JSON lines with `id` and "
        "`winner` (base, candidate or tie), or the samples of an opened blind test. Without it the scorers label some "
        "where a model judges.",
    )
    label_items: int = Field(
        default=50, ge=2, description="Pairs that the scorers label where no file is given and a model judges."
    )
    confidence: float = Field(default=0.95, ge=0.95, le=0.9999, description="Of intervals.")
    min_gold_pairs: int = Field(default=50, ge=50, description="Bar: gold pairs with a verdict in both orders.")
    min_kappa: float = Field(
        default=0.6, ge=0, le=1, description="Bar: lower end of Cohen's kappa between the judge and the gold set."
    )
    max_flip_rate: float = Field(
        default=0.2, ge=0, le=1, description="Bar: upper end of the share of pairs whose verdict depends on the order."
    )
    max_first_bias: float = Field(
        default=0.1, ge=0, le=0.5, description="Bar: distance of the first-position rate from one half, worse end."
    )
    max_length_effect: float = Field(
        default=0.15,
        ge=0,
        le=1,
        description="Bar: how much more (or less) the longer answer of a gold pair wins than it should, worse end.",
    )
    max_unusable_share: float = Field(default=0.05, ge=0, le=1, description="Bar: answers without a verdict.")
    max_canary_changes: float = Field(
        default=0.15, ge=0, le=1, description="Bar: share of a round of canaries that changed since the first round."
    )

    @field_validator("url")
    @classmethod
    def _refuse_secrets(cls, url: str | None) -> str | None:
        """Refuse an address that is none, or that holds a password or a key: the configuration is recorded."""
        return None if url is None else check_server_address(url, "key_variable")

    @model_validator(mode="after")
    def _require_model(self) -> Self:
        if self.url is not None and self.local_model is not None:
            raise ValueError("url and local_model: name one judge")
        if self.url is not None and not self.model_name:
            raise ValueError("url without model_name: name the judge model")
        return self


class JudgeRecord(CalibrationRecord):
    """What the judge preferred, and whether that counts."""

    preference: Preference = Field(description="not_calibrated where the judge missed the bar.")
    prompt_sha256: str = Field(default="", description="Of the instructions to the judge.")
    gold_sha256: str = Field(default="", description="Of the gold set.")
    num_cached: int = Field(default=0, description="Answers that an earlier attempt of this step had finished.")


class JudgeSample(Sample):
    """One judged pair with the judge's verdicts, named by model, in both orders."""

    kind: Literal["pair", "gold"] = "pair"
    base: str = ""
    candidate: str = ""
    base_first: str = ""
    candidate_first: str = ""
    winner: str = ""
    gold: str = ""
    is_cached: bool = False

    @property
    def is_usable(self) -> bool:
        """Whether both orders gave a verdict."""
        return bool(self.winner)

    @property
    def is_flipped(self) -> bool:
        """Whether the verdict depends on the order."""
        return self.is_usable and self.base_first != self.candidate_first

    def list_texts(self) -> list[SampleText]:
        """List the prompt, both answers, the verdicts, and the known winner."""
        won, lost = self.winner == "candidate", self.winner == "base"
        return [
            *super().list_texts(),
            SampleText(_BASE, self.base, "good" if lost else "plain"),
            SampleText(_CANDIDATE, self.candidate, "good" if won else "plain"),
            SampleText(Bilingual("Judge, base model first", "裁判（基座在前）"), self.base_first),
            SampleText(Bilingual("Judge, tuned model first", "裁判（微调在前）"), self.candidate_first),
            SampleText(Bilingual("Known winner", "已知优者"), self.gold),
        ]


_BASE = Bilingual("Base model", "基座模型")
_CANDIDATE = Bilingual("Tuned model", "微调模型")


def group_samples(samples: Sequence[JudgeSample]) -> list[SampleGroup]:
    """Group the pairs: wrong verdicts on gold pairs first, the opposite of the label before others."""
    usable = [one for one in samples if one.is_usable]
    wrong = [one for one in usable if one.kind == "gold" and one.winner != one.gold]
    wrong.sort(key=lambda one: "tie" in {one.winner, one.gold})
    pairs = [one for one in usable if one.kind == "pair"]
    steady = [one for one in pairs if not one.is_flipped]
    flipped = [one for one in usable if one.is_flipped]
    silent = [one for one in samples if not one.is_usable]
    return list_nonempty(
        SampleGroup(Bilingual("Gold pairs that the judge got wrong", "裁判判错的金标样本对"), "bad", wrong),
        SampleGroup(Bilingual("Verdict depends on the order", "结论随顺序改变"), "bad", flipped),
        SampleGroup(Bilingual("No verdict in one order", "某一顺序下无结论"), "bad", silent),
        SampleGroup(
            Bilingual("Base model preferred", "更偏好基座模型"),
            "plain",
            [one for one in steady if one.winner == "base"],
        ),
        SampleGroup(
            Bilingual("Tuned model preferred", "更偏好微调模型"),
            "good",
            [one for one in steady if one.winner == "candidate"],
        ),
        SampleGroup(Bilingual("No preference", "没有偏好"), "plain", [one for one in steady if one.winner == "tie"]),
    )


def describe_result(metrics: Mapping[str, Metric]) -> str:
    """Say how often the judge preferred the tuned model, and whether that may decide anything."""
    rate, calibrated = metrics.get("judge_win_rate"), metrics.get("judge_calibrated")
    if calibrated is None:
        return ""
    if rate is None:
        return "The judge gave no verdict; it decides nothing."
    ends = f" ({rate.low:.0%} to {rate.high:.0%})" if rate.low is not None and rate.high is not None else ""
    said = f"The judge preferred the tuned model in {rate.value:.0%} of the pairs, a tie counting half{ends}"
    return f"{said}." if calibrated.value else f"{said}; it is not calibrated and decides nothing."


METRICS = {
    "judge_win_rate": key_figure("Judge: tuned model preferred, ties half", "裁判：微调模型胜率（平局计半）", "share"),
    "judge_win_rate_length_controlled": figure("Judge: win rate at equal length", "裁判：长度相同时的胜率", "share"),
    "judge_win_rate_debiased": figure(
        "Judge: win rate, corrected by known winners (PPI)", "裁判：用已知优者校正的胜率（PPI）", "share"
    ),
    "judge_preference": key_figure("Calibrated judge: win rate above one half", "已校准裁判：胜率减二分之一", "points"),
    "judge_calibrated": figure("Judge may decide", "裁判可以参与判定", "count"),
    "judge_kappa": key_figure("Judge against the gold set (kappa)", "裁判与金标的一致性（kappa）", "number"),
    "judge_gold_pairs": figure("Gold pairs with a verdict", "有结论的金标样本对", "count"),
    "judge_gold_accuracy": figure("Gold pairs judged right", "判对的金标样本对占比", "share"),
    "judge_flip_rate": figure("Verdict depends on the order", "结论随顺序改变的占比", "share"),
    "judge_first_rate": figure("First answer preferred, among decided", "有偏好时选择第一个回答的占比", "share"),
    "judge_first_bias": figure("First-position rate, distance from one half", "首位选择率与二分之一之差", "width"),
    "judge_length_effect": figure("Longer answer wins more than it should", "较长回答的胜率高出应有值", "points"),
    "judge_unusable_share": figure("Answers of the judge without a verdict", "裁判回答中没有结论的占比", "share"),
    "judge_canary_changes": figure("Canaries that changed, worst round", "变化的探针占比（最差一轮）", "share"),
    "judge_models": figure("Models that the judge named itself", "裁判自报的模型数", "count"),
    "judge_pairs": figure("Pairs with a verdict", "有结论的样本对", "count"),
    "judge_equal_pairs": figure(
        "Pairs with equal answers, ties unasked", "回答相同的样本对（不询问，计为平局）", "count"
    ),
    "judge_labelled_pairs": figure("Pairs with a known winner", "已知优者的样本对", "count"),
    "judge_questions": figure("Questions to the judge", "向裁判提出的问题数", "count"),
}
FAILURES = {
    "not_calibrated": Bilingual("the judge misses the bar", "裁判未达到门槛"),
    "judge_changed": Bilingual("the judge changed while it was asked", "裁判在询问过程中发生变化"),
    "judge_empty": Bilingual("the judge answered nothing", "裁判回答为空"),
    "judge_prose": Bilingual("the judge answered in prose", "裁判以散文作答"),
    "judge_garbage": Bilingual("the judge's answer is no verdict", "裁判的回答不是结论"),
    "judge_refusal": Bilingual("the judge refused", "裁判拒绝作答"),
    "judge_cut_off": Bilingual("the judge's answer was cut off", "裁判的回答被截断"),
    "judge_no_answer": Bilingual("the judge did not answer in time", "裁判未及时作答"),
    "no_estimate": Bilingual("a figure of the judge could not be estimated", "裁判的某项指标无法估计"),
}
SPEC = StageSpec(
    "judge",
    Bilingual("asks a judge which answers are better, and checks the judge", "请裁判比较回答，并检验裁判本身"),
    "train",
    JudgeConfig,
    JudgeRecord,
    samples=SampleSpec(JudgeSample, group_samples),
    metrics=METRICS,
    failures=FAILURES,
    headlines=("judge_win_rate",),
    describe_result=describe_result,
)
