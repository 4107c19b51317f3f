"""What stages that train have in common: options, record, samples, titles and exports. No stage by itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

from practicum_core.stages.base import ModelUri, OptionalDataUri, OptionalModelUri, StageConfig, StageRecord
from practicum_core.stages.repair import Criterion
from practicum_core.stages.samples import Sample, SampleGroup, SampleText, list_nonempty
from practicum_core.stages.spec import Export, Runner, SampleSpec
from practicum_core.stages.titles import figure, key_figure
from practicum_core.texts import Bilingual


class TrainingConfig(StageConfig):
    """How to train. Batch sizes are per worker.

    A stage that trains adds what is its own, gives ``learning_rate`` its default and may narrow ``engine``.
    """

    highest_usual_rates: ClassVar[dict[str, float]] = {"full": 1e-4, "lora": 2e-3, "qlora": 2e-3}
    """Learning rates above which a run that diverged most likely did so for that."""
    sequences_per_row: ClassVar[int] = 1
    """Sequences that a row of the batch becomes: two for a preference pair."""
    loss_unit: ClassVar[str] = "nats per token"

    model: ModelUri = Field(default="builtin:smollm2-135m", description="URI of the base model.")
    method: Literal["full", "lora", "qlora"] = "lora"
    engine: Literal["ray", "flat"] = Field(default="ray", description="flat: the single-file loop made for reading.")
    strategy: Literal["ddp", "deepspeed", "fsdp"] = Field(default="ddp", description="How several workers share state.")
    num_workers: int = Field(default=1, ge=1, le=64)
    train_rows: int | None = Field(default=None, ge=1, description="Rows of the training split at most.")
    validation_rows: int | None = Field(default=64, ge=1, description="Rows of the validation split at most.")
    max_length: int = Field(default=512, ge=16, description="Tokens a row may have, prompt and answer together.")
    max_steps: int = Field(default=-1, ge=-1, description="Optimizer steps; -1 goes by num_epochs.")
    num_epochs: float = Field(default=1.0, gt=0)
    batch_size: int = Field(default=8, ge=1, le=65_536)
    gradient_accumulation_steps: int = Field(default=1, ge=1, le=65_536)
    learning_rate: float = Field(gt=0)
    lr_scheduler: Literal["cosine", "linear", "constant"] = "cosine"
    warmup_ratio: float = Field(default=0.05, ge=0, lt=1)
    weight_decay: float = Field(default=0.0, ge=0)
    max_grad_norm: float = Field(default=1.0, gt=0)
    lora_r: int = Field(default=16, ge=1)
    lora_alpha: int = Field(default=32, ge=1)
    lora_dropout: float = Field(default=0.0, ge=0, lt=1)
    dtype: Literal["auto", "float32", "bfloat16"] = Field(default="auto", description="auto: bfloat16 on a GPU only.")
    gradient_checkpointing: bool = False
    optimizer: Literal["adamw", "adamw_8bit", "adafactor"] = Field(
        default="adamw", description="Bytes that it keeps per trained weight: 8, 2, and almost none."
    )
    logging_steps: int = Field(default=1, ge=1)
    eval_steps: int = Field(default=20, ge=1)
    save_steps: int = Field(default=20, ge=1)
    keep_checkpoints: int = Field(default=3, ge=1)
    max_failures: int = Field(default=2, ge=0, description="Times that lost workers are replaced.")
    num_sample_prompts: int = Field(
        default=2, ge=0, description="Prompts answered at each checkpoint; none where the model is sharded."
    )
    sample_max_new_tokens: int = Field(default=48, ge=1)
    overfit_patience: int = Field(default=3, ge=1, description="Evaluations above the best until overfitting is noted.")
    divergence_factor: float = Field(default=3.0, gt=1, description="Loss over its first value at which to stop.")
    max_truncation_ratio: float = Field(default=0.05, ge=0, le=1, description="Share of truncated rows that stops.")
    memory_limit_gib: float | None = Field(
        default=None, gt=0, description="Without it, what the machine, or its GPU, has free."
    )
    export_merged: bool = True
    export_scale: float = Field(
        default=1.0,
        gt=0,
        le=1,
        description="Share of the learned change that the exports keep, as in WiSE-FT (Wortsman et al., 2022): below 1 "
        "the model forgets less and has learned less.",
    )
    decision: OptionalDataUri = Field(
        default=None, description="File of the stage iterate that says whether to train; without it, always."
    )
    otherwise: OptionalModelUri = Field(
        default=None, description="Model that is passed on where nothing is trained; `model` without it."
    )

    def list_splits(self) -> tuple[str, ...]:
        """List the splits that training reads."""
        return ("train", "validation")

    @property
    def is_packed(self) -> bool:
        """Whether the rows of a batch lie end to end, without padding."""
        return False


class CheckpointInfo(BaseModel):
    """One kept checkpoint."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    step: int
    validation_loss: float | None
    path: str


class TrainingRecord(StageRecord):
    """What training did."""

    method: str
    num_steps: int
    num_train_rows: int
    num_trainable_parameters: int
    num_parameters: int
    num_tokens: int
    num_restarts: int = 0
    resumed_from_step: int | None = None
    checkpoints: list[CheckpointInfo] = Field(default_factory=list)
    best_step: int | None = None
    diagnosis: str = ""
    skipped: list[Criterion] = Field(
        default_factory=list, description="Why nothing was trained and a model was passed on; empty after training."
    )


def choose_runner(config: TrainingConfig) -> Runner:
    """Return Ray for the engine that trains on it; the flat loop is one process."""
    return Runner.RAY if config.engine == "ray" else Runner.PROCESS


def count_pods(config: TrainingConfig) -> int:
    """Return one pod a worker; the flat loop has one."""
    return config.num_workers if config.engine == "ray" else 1


class CheckpointSample(Sample):
    """The answer to one prompt at one checkpoint."""

    step: int = 0
    output: str = ""


class PromptHistory(Sample):
    """The answers to one prompt as training went on, by optimizer step."""

    answers: dict[int, str]

    def list_texts(self) -> list[SampleText]:
        """List the prompt and the answer at each checkpoint."""
        steps = [SampleText(_AT_STEP.format(step=step), answer) for step, answer in sorted(self.answers.items())]
        return super().list_texts() + steps


_AT_STEP = Bilingual("Step {step}", "第 {step} 步")
_CHECKPOINTS = Bilingual("Answers as training went on", "训练过程中的回答")


def group_samples(samples: Sequence[CheckpointSample]) -> list[SampleGroup]:
    """Bring the answers to one prompt together, in order of steps; the last answer of a step wins."""
    answers: dict[str, dict[int, str]] = {}
    for sample in samples:
        answers.setdefault(sample.id, {})[sample.step] = sample.output
    first = {sample.id: sample for sample in reversed(samples)}
    joined = [
        PromptHistory(id=key, prompt=first[key].prompt, expected=first[key].expected, answers=given)
        for key, given in answers.items()
    ]
    return list_nonempty(SampleGroup(_CHECKPOINTS, "plain", joined, is_open=True))


SAMPLES = SampleSpec(CheckpointSample, group_samples)

METRICS = {
    "validation_loss_drop": key_figure("Drop in validation loss", "验证损失降幅", "number"),
    "validation_loss": figure("Validation loss, lowest", "最低验证损失", "number"),
    "validation_loss_first": figure("Validation loss, first", "初始验证损失", "number"),
    "train_loss": figure("Training loss, last", "最终训练损失", "number"),
    "steps_per_s": figure("Steps per second", "每秒步数", "number"),
    "startup_s": figure("Start-up time", "启动耗时", "seconds"),
    "train_s": figure("Training time", "训练耗时", "seconds"),
    "peak_rss_gib": figure("Peak memory", "内存峰值", "number"),
    "peak_gpu_gib": figure("Peak memory of the GPU", "显存峰值", "number"),
    "estimated_memory_gib": figure("Memory estimated before training", "训练前估算的内存", "number"),
    "truncated_ratio": figure("Truncated rows", "被截断样本占比", "share"),
    "export_scale": figure("Learned change that the exports keep", "导出时保留的学习变化比例", "share"),
}
FAILURES = {
    "worker_lost": Bilingual("worker lost", "工作进程丢失"),
    "overfitting": Bilingual("overfitting", "过拟合"),
}
EXPORTS = {"merged": Export("artifacts/merged", "model"), "adapter": Export("artifacts/adapter", "adapter")}
