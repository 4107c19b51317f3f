"""The stage ``dpo``: preference training of an adapter; the model without the adapter is the reference."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from practicum_core.stages.base import OptionalDataUri
from practicum_core.stages.spec import StageSpec
from practicum_core.stages.titles import figure, key_figure
from practicum_core.stages.training import (
    EXPORTS,
    FAILURES,
    METRICS,
    SAMPLES,
    TrainingConfig,
    TrainingRecord,
    choose_runner,
    count_pods,
)
from practicum_core.texts import Bilingual


class DpoConfig(TrainingConfig):
    """How to train on preference pairs. A batch holds that many pairs per worker, so twice as many sequences."""

    highest_usual_rates: ClassVar[dict[str, float]] = {"lora": 2e-4, "qlora": 2e-4}
    sequences_per_row: ClassVar[int] = 2
    loss_unit: ClassVar[str] = "nats per pair"

    pairs: OptionalDataUri = Field(
        default=None, description="Data set of pairs, with a split validation; the data of the run without it."
    )
    method: Literal["lora", "qlora"] = "lora"
    engine: Literal["ray"] = "ray"
    learning_rate: float = Field(default=2e-5, gt=0)
    beta: float = Field(default=0.1, gt=0, description="How strongly the model is held to the reference.")
    lora_dropout: Literal[0] = Field(
        default=0, description="Always 0: dropout would make the policy differ from the reference by chance."
    )

    def list_splits(self) -> tuple[str, ...]:
        """List the splits of the run's data that training reads; none where the pairs are a data set of their own."""
        return super().list_splits() if self.pairs is None else ()


class DpoRecord(TrainingRecord):
    """What preference training did."""


SPEC = StageSpec(
    "dpo",
    Bilingual("trains on preference pairs and exports adapter and merged model", "用偏好对训练并导出适配器与合并模型"),
    "train",
    DpoConfig,
    DpoRecord,
    uses_gpu=True,
    choose_runner=choose_runner,
    count_pods=count_pods,
    exports=EXPORTS,
    samples=SAMPLES,
    metrics={
        **METRICS,
        "preference_accuracy": key_figure("Pairs ranked rightly", "排序正确的偏好对占比", "share"),
        "reward_margin": key_figure("Reward margin", "奖励差", "number"),
        "chosen_drift": figure("Drift of chosen answers (nats)", "chosen 回答的漂移（nat）", "number"),
        "kl_divergence": figure("KL divergence from the reference", "相对参考模型的 KL 散度", "number"),
        "rejected_drift": figure("Drift of rejected answers (nats)", "rejected 回答的漂移（nat）", "number"),
    },
    headlines=("preference_accuracy",),
    failures={
        **FAILURES,
        "chosen_less_likely": Bilingual("chosen answers became less likely", "chosen 回答的概率下降"),
        "rewards_stuck": Bilingual("rewards stuck at zero", "奖励停在零"),
        "repetition": Bilingual("answers repeat themselves", "回答自我重复"),
    },
)
