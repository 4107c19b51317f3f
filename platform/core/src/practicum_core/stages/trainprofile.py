"""Configuration and record of the stage ``trainprofile``: where training's time and memory go, and what helps."""

from __future__ import annotations

from typing import Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from practicum_core.errors import suggest_similar
from practicum_core.stages.base import ModelUri, StageConfig
from practicum_core.stages.levers import FAILURES as LEVER_FAILURES
from practicum_core.stages.levers import METRICS as LEVER_METRICS
from practicum_core.stages.levers import LeverRecord, describe_result, parse_options
from practicum_core.stages.sft import SftConfig
from practicum_core.stages.spec import StageSpec
from practicum_core.stages.titles import figure
from practicum_core.texts import Bilingual

CHANGEABLE = (
    "method",
    "batch_size",
    "gradient_accumulation_steps",
    "gradient_checkpointing",
    "dtype",
    "packing",
    "optimizer",
    "lora_r",
)
"""Options of sft that a lever may change."""
FIXED = ("model", "seed", "engine", "num_workers", "strategy", "decision", "otherwise")
"""Options of sft that the stage sets itself."""
EXACT = frozenset({"batch_size", "gradient_accumulation_steps", "gradient_checkpointing", "packing"})
"""Those that only change how the same sum is computed: with the same rows in a step, its loss must stay."""
LEVERS = (
    "packing=true",
    "batch_size=4 gradient_accumulation_steps=2",
    "gradient_checkpointing=true",
    "dtype=bfloat16",
    "optimizer=adamw_8bit",
    "method=qlora",
)
LADDER = (
    "method=full",
    "optimizer=adamw_8bit",
    "gradient_checkpointing=true",
    "batch_size=2 gradient_accumulation_steps=4",
    "method=lora optimizer=adamw",
    "method=qlora",
)


class TrainProfileConfig(StageConfig):
    """What is trained for a few steps, which options are tried, and how often."""

    model: ModelUri = Field(default="builtin:smollm2-135m", description="URI of the base model.")
    baseline: str = Field(default="", description="Options of sft that every measurement has, as name=value.")
    levers: tuple[str, ...] = Field(
        default=LEVERS, description="Each: options of sft that are changed against the baseline, as name=value."
    )
    ladder: tuple[str, ...] = Field(
        default=LADDER,
        description="Savings of memory, one after another: each keeps what those before it changed. Empty for none.",
    )
    rounds: int = Field(default=5, ge=2, le=100, description="Times that baseline and levers are measured in turn.")
    steps: int = Field(default=3, ge=1, le=1_000, description="Optimizer steps of a measurement, after one to warm up.")
    profiled_steps: int = Field(default=2, ge=1, le=100, description="Steps that torch's profiler records.")
    loss_tolerance: float = Field(
        default=0.002, gt=0, lt=1, description="Largest relative difference of a loss that counts as the same."
    )
    timeout_s: float = Field(default=600, gt=0, description="For one measurement.")

    def list_splits(self) -> tuple[str, ...]:
        """List the splits that training reads."""
        return ("train", "validation")

    @model_validator(mode="after")
    def _check_options(self) -> Self:
        self.build_training()
        for lever in self.levers:
            self.build_training(lever)
        for number in range(len(self.ladder)):
            self.build_training(*self.ladder[: number + 1])
        return self

    def build_training(self, *levers: str) -> SftConfig:
        """Return the options of sft with the baseline's and then those of each lever.

        Raises:
            ValueError: An option does not exist, may not be a lever, or has a wrong value.
        """
        options = parse_options(self.baseline)
        if fixed := [name for name in options if name in FIXED]:
            raise ValueError(f"'{fixed[0]}' is no option of the baseline: it trains {self.model} in one process")
        for lever in levers:
            changed = parse_options(lever)
            wrong = [name for name in changed if name not in CHANGEABLE]
            if wrong or not changed:
                hint = suggest_similar(wrong[0], CHANGEABLE) if wrong else ""
                raise ValueError(f"'{lever}' is no lever{hint}: it may change {', '.join(CHANGEABLE)}")
            options |= changed
        try:
            return SftConfig.model_validate({"model": self.model, "seed": self.seed, **options})
        except ValidationError as error:
            first = error.errors()[0]
            name = ".".join(map(str, first["loc"]))
            raise ValueError(f"'{' '.join((self.baseline, *levers)).strip()}': {name}: {first['msg']}") from error


def is_exact(lever: str) -> bool:
    """Whether a lever may not change the loss of a step with the same rows.

    >>> is_exact("packing=true"), is_exact("dtype=bfloat16 packing=true")
    (True, False)
    """
    return parse_options(lever).keys() <= EXACT


class Rung(BaseModel):
    """One saving of memory on top of those before it. Bytes are those above the empty process."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    estimated_bytes: int
    peak_bytes: int | None = Field(default=None, description="Measured; none where it was not run.")
    step_s: float | None = None
    note: str = ""


class Share(BaseModel):
    """A part of a step's time."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    seconds: float = Field(description="Per step.")
    ratio: float = Field(description="Of the step.")


class TrainProfileRecord(LeverRecord):
    """Levers of training, the ladder of memory, and where a step's time goes."""

    ladder: list[Rung] = Field(default_factory=list)
    phases: list[Share] = Field(default_factory=list)
    operations: list[Share] = Field(default_factory=list, description="Kinds of computation, by the time of their own.")
    bottleneck_en: str = ""
    bottleneck_zh: str = ""


METRICS = {
    **LEVER_METRICS,
    "step_s": figure("Baseline, time of a step", "基线：每步用时", "seconds"),
    "phase_coverage": figure("Share of a step that the profile explains", "性能剖析能解释的步时占比", "share"),
    "largest_phase_ratio": figure("Share of the step's largest part", "耗时最大部分的占比", "share"),
    "data_ratio": figure("Share of a step that waits for data", "等待数据的占比", "share"),
    "bottleneck_named": figure("Bottleneck named", "已指明瓶颈", "count"),
    "estimate_ratio_largest": figure(
        "Measured over estimated memory, of the rung that needs most", "实测与估算内存之比（占用最大的一级）", "number"
    ),
    "estimate_ratio_worst": figure(
        "Measured over estimated memory, farthest from 1", "实测与估算内存之比（偏差最大者）", "number"
    ),
    "ladder_saving": figure("Memory saved by the whole ladder", "整个阶梯节省的内存", "share"),
}
FAILURES = {
    **LEVER_FAILURES,
    "too_large": Bilingual("does not fit into memory", "内存放不下"),
}
SPEC = StageSpec(
    "trainprofile",
    Bilingual(
        "measures where training's time and memory go, and what each lever changes",
        "测量训练的时间与内存去向，以及每个手段带来的变化",
    ),
    "train",
    TrainProfileConfig,
    TrainProfileRecord,
    program="practicum_jobs.trainprofile.stage",
    uses_gpu=True,
    measures_speed=True,
    metrics=METRICS,
    failures=FAILURES,
    headlines=("baseline_tokens_per_s", "best_ratio"),
    describe_result=describe_result,
)
