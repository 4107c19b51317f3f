"""The stage ``sft``: supervised fine-tuning, full, LoRA or QLoRA."""

from __future__ import annotations

from pydantic import Field

from practicum_core.stages.spec import StageSpec
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

USUAL_RATES = {"full": 2e-5, "lora": 2e-4, "qlora": 2e-4}
"""Learning rates that models of half a billion weights and more usually bear."""


class SftConfig(TrainingConfig):
    """How to train. Batch sizes are per worker."""

    learning_rate: float = Field(
        default_factory=lambda values: USUAL_RATES[values.get("method", "lora")],
        gt=0,
        description="Without it 2e-5 for full, 2e-4 for lora and qlora.",
    )
    packing: bool = Field(
        default=False, description="Lay the rows of a batch end to end in place of padding them to the longest."
    )

    @property
    def is_packed(self) -> bool:
        """Whether the rows of a batch lie end to end, without padding."""
        return self.packing


class SftRecord(TrainingRecord):
    """What supervised fine-tuning did."""


SPEC = StageSpec(
    "sft",
    Bilingual("fine-tunes the model and exports adapter and merged model", "微调模型并导出适配器与合并模型"),
    "train",
    SftConfig,
    SftRecord,
    uses_gpu=True,
    choose_runner=choose_runner,
    count_pods=count_pods,
    exports=EXPORTS,
    samples=SAMPLES,
    metrics=METRICS,
    headlines=("validation_loss",),
    failures=FAILURES,
)
