"""Configuration, record and samples of the stage ``reveal``: opens the key of a blind test and counts the ratings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pydantic import BaseModel, ConfigDict, Field

from practicum_core.metrics import Metric
from practicum_core.stages.base import StageConfig, StageRecord
from practicum_core.stages.samples import Sample, SampleGroup, SampleText, list_nonempty
from practicum_core.stages.spec import SampleSpec, StageSpec
from practicum_core.stages.titles import figure, key_figure
from practicum_core.texts import Bilingual


class RevealConfig(StageConfig):
    """Which test is opened, and how wide intervals are."""

    test: str = Field(default="run:stages/blind", description="Folder of the step that made the page.")
    confidence: float = Field(default=0.95, ge=0.8, le=0.9999)


class RaterResult(BaseModel):
    """How one rater did."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    rater: str
    is_kept: bool
    num_checks: int
    failed_checks: list[str] = Field(description="Items of the attention checks that the rater missed.")
    preferred_planted: bool = Field(description="Whether the rater preferred an answer that is plainly wrong.")
    wins: int = Field(description="Pairs in which the rater preferred the candidate.")
    losses: int
    ties: int


class RevealRecord(StageRecord):
    """What the raters preferred."""

    key_sha256: str
    base_model: str = ""
    candidate_model: str = ""
    num_items: int
    raters: list[RaterResult]


class BlindSample(Sample):
    """One pair with the choices of the raters who count."""

    base: str = ""
    candidate: str = ""
    preferred: str = ""
    votes: str = ""

    def list_texts(self) -> list[SampleText]:
        """List the prompt, both answers and the votes."""
        won, lost = self.preferred == _CANDIDATE, self.preferred == _BASE
        return [
            SampleText(Bilingual("Prompt", "提示"), self.prompt),
            SampleText(Bilingual("Base model", "基座模型"), self.base, "good" if lost else "plain"),
            SampleText(Bilingual("Tuned model", "微调模型"), self.candidate, "good" if won else "plain"),
            SampleText(Bilingual("Votes", "投票"), self.votes),
        ]


_BASE, _CANDIDATE = "base", "candidate"


def group_samples(samples: Sequence[BlindSample]) -> list[SampleGroup]:
    """Group the pairs by which model most raters preferred, those where the base model won first."""
    lost = [one for one in samples if one.preferred == _BASE]
    won = [one for one in samples if one.preferred == _CANDIDATE]
    rest = [one for one in samples if one.preferred not in {_BASE, _CANDIDATE}]
    return list_nonempty(
        SampleGroup(Bilingual("Base model preferred", "更偏好基座模型"), "bad", lost),
        SampleGroup(Bilingual("Tuned model preferred", "更偏好微调模型"), "good", won),
        SampleGroup(Bilingual("No preference", "没有偏好"), "plain", rest),
    )


def describe_result(metrics: Mapping[str, Metric]) -> str:
    """Say how often blind raters preferred the tuned model."""
    rate, sign = metrics.get("blind_win_rate"), metrics.get("blind_sign_test_p")
    if rate is None or sign is None:
        return ""
    interval = f" (95% interval {rate.low:.0%} to {rate.high:.0%})" if rate.low is not None and rate.high else ""
    return (
        f"Blind raters preferred the tuned model in {rate.value:.0%} of the pairs, a tie counting half{interval}; "
        f"sign test p = {sign.value:.3g}."
    )


METRICS = {
    "blind_win_rate": key_figure("Tuned model preferred, ties half", "微调模型胜率（平局计半）", "share"),
    "blind_wins": figure("Pairs that the tuned model won", "微调模型获胜的样本对", "count"),
    "blind_losses": figure("Pairs that the base model won", "基座模型获胜的样本对", "count"),
    "blind_ties": figure("Pairs without a winner", "未分胜负的样本对", "count"),
    "blind_sign_test_p": key_figure("Sign test over pairs, p", "样本对的符号检验 p 值", "number"),
    "rater_kappa": key_figure("Agreement between raters (kappa)", "评分者一致性（kappa）", "number"),
    "rater_fleiss_kappa": figure(
        "Agreement of all raters (Fleiss' kappa)", "全体评分者一致性（Fleiss kappa）", "number"
    ),
    "raters": figure("Raters", "评分者", "count"),
    "raters_kept": key_figure("Raters who passed the checks", "通过检查的评分者", "count"),
    "failed_checks": figure("Attention checks missed", "未通过的注意力检查", "count"),
    "pairs_rated": figure("Pairs rated", "已评样本对", "count"),
    "first_side_rate": figure("First answer preferred, among decided", "在有偏好的评分中选择左侧的占比", "share"),
    "longer_rate": figure("Longer answer preferred, among decided", "在有偏好的评分中选择较长回答的占比", "share"),
    "blind_win_rate_longer": figure("Win rate where the tuned answer is longer", "微调回答较长时的胜率", "share"),
    "blind_win_rate_shorter": figure(
        "Win rate where the tuned answer is not longer", "微调回答不更长时的胜率", "share"
    ),
    "blind_win_rate_all_pairs": figure(
        "Win rate, pairs with equal answers counted as ties", "胜率（回答相同的样本对计为平局）", "share"
    ),
    "names_removed": figure("Pairs with a model's name removed", "隐去模型名称的样本对", "count"),
}
FAILURES = {
    "inattentive_rater": Bilingual("a rater missed the attention checks", "评分者未通过注意力检查"),
    "too_few_raters": Bilingual("too few raters for their agreement", "评分者太少，无法计算一致性"),
    "position_preference": Bilingual("raters prefer one side of the page", "评分者偏好页面的某一侧"),
}
SPEC = StageSpec(
    "reveal",
    Bilingual("opens the sealed key and counts the blind ratings", "打开封存的密钥并统计盲评结果"),
    "base",
    RevealConfig,
    RevealRecord,
    samples=SampleSpec(BlindSample, group_samples),
    metrics=METRICS,
    failures=FAILURES,
    headlines=("blind_win_rate",),
    describe_result=describe_result,
)
