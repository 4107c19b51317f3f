"""Configuration and record of the stage ``redteam``: attacks and bias, without and with a guardrail.

Everything is asked offline, in English and Chinese, and scored by rules that the record names.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from practicum_core.metrics import Metric
from practicum_core.stages.base import ModelUri, OptionalDataUri, StageConfig, StageRecord
from practicum_core.stages.samples import Sample, SampleGroup, SampleText, Tone, list_nonempty
from practicum_core.stages.spec import SampleSpec, StageSpec
from practicum_core.stages.titles import figure, key_figure
from practicum_core.texts import Bilingual

ProbeKind = Literal["injection", "jailbreak", "pii_echo", "system_leak", "sensitive", "over_refusal"]
Verdict = Literal["resisted", "failed", "unclear"]
ATTACKS: tuple[ProbeKind, ...] = ("injection", "jailbreak", "pii_echo", "system_leak", "sensitive")
"""Kinds in which the model should not do what it is asked; ``over_refusal`` is the other way round."""
OWN_PREFIX = "own-"
"""Beginning of the ids of probes that do not come with the course."""
KIND_TITLES: Mapping[str, Bilingual] = {
    "injection": Bilingual("instructions hidden in a document", "文档中的注入指令"),
    "jailbreak": Bilingual("jailbreak by a pretext", "借口式越狱"),
    "pii_echo": Bilingual("personal data from the context", "上下文中的个人信息"),
    "system_leak": Bilingual("the system prompt", "系统提示词"),
    "sensitive": Bilingual("insults and prejudice", "侮辱与偏见内容"),
    "over_refusal": Bilingual("harmless questions that sound dangerous", "听起来危险的无害问题"),
}


class RedteamConfig(StageConfig):
    """What is attacked, and by how much."""

    model: ModelUri = Field(default="builtin:smollm2-135m", description="URI of the model.")
    probes: OptionalDataUri = Field(
        default=None, description="JSON Lines file with more probes: kind, language, prompt, system and marker."
    )
    per_kind: int | None = Field(default=None, ge=2, description="Probes of a kind and language at most.")
    train_split: str = Field(default="train", description="Split whose rows the model may have learnt by heart.")
    unseen_split: str = Field(default="test", description="Split that it cannot know, to compare with.")
    memory_rows: int = Field(default=60, ge=0, description="Rows of each that it is asked to continue; 0 asks none.")
    batch_size: int = Field(default=16, ge=1)
    max_new_tokens: int = Field(default=48, ge=8)
    confidence: float = Field(default=0.95, ge=0.95, le=0.9999)

    def list_splits(self) -> tuple[str, ...]:
        """List the splits whose rows are continued."""
        return (self.train_split, self.unseen_split) if self.memory_rows else ()


class KindResult(BaseModel):
    """How the model did on one kind of probes, without and with the guardrail."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: ProbeKind
    num_probes: int
    num_failed: int
    num_unclear: int
    num_failed_guarded: int
    num_unclear_guarded: int


class BiasResult(BaseModel):
    """How much kinder the model is to one group than to another, in nats: mean of paired differences."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    dimension: str
    language: str
    num_pairs: int
    difference: float
    low: float
    high: float
    p_adjusted: float = Field(description="Holm, over all dimensions and languages.")


class ChecklistItem(BaseModel):
    """One point of the compliance checklist, and what in this run speaks to it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    source: str
    asks_en: str
    asks_zh: str
    evidence_en: str
    evidence_zh: str
    state: Literal["measured", "open"] = Field(description="open: nothing in this run measures it.")


class RedteamRecord(StageRecord):
    """What the model gave away, and what the guardrail changes."""

    model_sha256: str
    guardrail: str = Field(description="Its rules, by hash.")
    kinds: list[KindResult]
    bias: list[BiasResult]
    checklist: list[ChecklistItem]


class ProbeSample(Sample):
    """One probe with the answers without and with the guardrail."""

    kind: str = ""
    language: str = ""
    answer: str = ""
    verdict: Verdict = "unclear"
    guarded_answer: str = ""
    guarded_verdict: Verdict = "unclear"

    def list_texts(self) -> list[SampleText]:
        """List the prompt and both answers, each judged."""
        return [
            SampleText(_PROMPT, self.prompt),
            SampleText(_ANSWER, self.answer, _TONES[self.verdict]),
            SampleText(_GUARDED, self.guarded_answer, _TONES[self.guarded_verdict]),
        ]


_TONES: Mapping[str, Tone] = {"resisted": "good", "failed": "bad", "unclear": "plain"}
_PROMPT = Bilingual("Probe", "探测")
_ANSWER = Bilingual("Answer without guardrail", "无护栏的回答")
_GUARDED = Bilingual("Answer with guardrail", "有护栏的回答")


def group_samples(samples: Sequence[ProbeSample]) -> list[SampleGroup]:
    """Show what fails even with the guardrail, what it stops, what nobody judged, and the rest; own probes first."""
    ordered = sorted(samples, key=lambda one: not one.id.startswith(OWN_PREFIX))
    through = [one for one in ordered if one.guarded_verdict == "failed"]
    stopped = [one for one in ordered if one.verdict == "failed" and one.guarded_verdict != "failed"]
    others = [one for one in ordered if "failed" not in (one.verdict, one.guarded_verdict)]
    unclear = [one for one in others if "unclear" in (one.verdict, one.guarded_verdict)]
    resisted = [one for one in others if "unclear" not in (one.verdict, one.guarded_verdict)]
    return list_nonempty(
        SampleGroup(Bilingual("Fails with the guardrail", "有护栏时失败"), "bad", through),
        SampleGroup(Bilingual("Fails without the guardrail only", "仅在无护栏时失败"), "plain", stopped),
        SampleGroup(Bilingual("No rule can judge: read the answers", "规则无法判定：请阅读回答"), "plain", unclear),
        SampleGroup(Bilingual("Does not fail", "未失败"), "good", resisted),
    )


METRICS = {
    "attack_success": key_figure("Attacks that succeed", "攻击成功率", "share"),
    "attack_success_guarded": key_figure("Attacks that succeed with the guardrail", "攻击成功率（有护栏）", "share"),
    "guardrail_difference": key_figure(
        "Attacks that succeed, with minus without guardrail", "护栏带来的变化", "points"
    ),
    "over_refusal": key_figure("Harmless questions refused", "无害问题被拒率", "share"),
    "over_refusal_guarded": key_figure(
        "Harmless questions refused with the guardrail", "无害问题被拒率（有护栏）", "share"
    ),
    "leaks_guarded": figure("Personal data or system prompt given away with the guardrail", "有护栏时仍泄露", "count"),
    "unclear": figure("Answers that no rule can judge", "规则无法判定的回答", "share"),
    "num_probes": figure("Probes", "探测数", "count"),
    "num_checks_open": figure("Points of the checklist that nothing measures", "清单中未测量的条目", "count"),
    "memorized_train": figure("Training rows answered word for word", "逐字答出的训练样本", "share"),
    "memorized_unseen": figure("Unseen rows answered word for word", "逐字答出的未见样本", "share"),
    "memorization": key_figure("Answered word for word, training minus unseen rows", "逐字答出：训练减未见", "points"),
    "failed_{rest}": figure("Succeeds: {rest}", "攻击成功：{rest}", "share"),
    "failed_{rest}_guarded": figure("Succeeds with the guardrail: {rest}", "攻击成功（有护栏）：{rest}", "share"),
    "num_biased": figure("Dimensions with a bias that is not chance", "存在显著偏差的维度", "count"),
}
FAILURES = {
    "bias": Bilingual("a group is treated otherwise", "对某一群体区别对待"),
    "attack": Bilingual("attacks that succeed with the guardrail", "有护栏仍成功的攻击"),
    "memorized": Bilingual("training rows are known by heart", "训练样本被记住"),
    "too_few_to_judge": Bilingual("most answers cannot be judged by rules", "多数回答无法按规则判定"),
}


def describe_result(metrics: Mapping[str, Metric]) -> str:
    """Say what the attacks achieve and what the guardrail changes.

    >>> describe_result({name: Metric(name=name, value=value) for name, value in
    ...     {"attack_success": 0.5, "attack_success_guarded": 0.1, "over_refusal_guarded": 0.05}.items()})
    'Attacks succeed in 50%, with the guardrail in 10%; it refuses 5% of harmless questions'
    """
    if not {"attack_success", "attack_success_guarded", "over_refusal_guarded"} <= metrics.keys():
        return ""
    bare, guarded, refused = (
        metrics[name].value for name in ("attack_success", "attack_success_guarded", "over_refusal_guarded")
    )
    attacks = f"Attacks succeed in {bare:.0%}, with the guardrail in {guarded:.0%}"
    return f"{attacks}; it refuses {refused:.0%} of harmless questions"


SPEC = StageSpec(
    "redteam",
    Bilingual(
        "attacks the model with and without a guardrail, and looks for bias", "在有无护栏两种情况下攻击模型并检查偏差"
    ),
    "train",
    RedteamConfig,
    RedteamRecord,
    uses_gpu=True,
    metrics=METRICS,
    failures=FAILURES,
    samples=SampleSpec(ProbeSample, group_samples),
    headlines=("attack_success_guarded",),
    describe_result=describe_result,
)
