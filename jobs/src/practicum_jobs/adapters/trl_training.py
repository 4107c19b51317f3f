# ruff: noqa: N806 - shapes stand in names
"""Decides how one worker trains with TRL: model, adapter, arguments, loss, checkpoints, and what it tells back.

Shapes: B rows in the batch, T tokens of the longest row, H hidden size, V vocabulary, N positions that count in the
loss. Refuses to know who started the worker; that is the :class:`TrainerLink`'s business.
"""

from __future__ import annotations

import os
import resource
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import datasets
import peft
import torch
import transformers
import trl
from torch.nn import functional

from practicum_core.stages.sft import SftConfig
from practicum_jobs.adapters.training_callbacks import CheckpointReporter, CurveWriter, SampleWriter, StopSwitch
from practicum_jobs.adapters.training_export import export_training
from practicum_jobs.adapters.training_job import (
    IGNORED,
    SavedCheckpoint,
    TrainingJob,
    TrainingOutcome,
    has_float32_weights,
    is_sharded,
    read_rows,
)


class TrainerLink(Protocol):
    """What a worker needs from whatever started it."""

    rank: int
    world_size: int

    def get_resume_folder(self) -> Path | None:
        """Return the last whole checkpoint of this run; ``None`` at a first start."""
        ...

    def report(self, folder: Path | None, metrics: Mapping[str, float], name: str) -> None:
        """Hand over a checkpoint (rank 0) or nothing (other ranks); every rank calls equally often."""
        ...

    def list_checkpoints(self) -> list[SavedCheckpoint]:
        """Return every kept checkpoint that is whole, oldest first; every rank calls equally often."""
        ...


def run_training(job: TrainingJob, link: TrainerLink) -> TrainingOutcome:
    """Train from the last whole checkpoint or from the start, export on rank 0, and tell what was done.

    Args:
        job: What to train.
        link: The way to whoever started this worker.
    """
    _prepare_process(job)
    trainer = build_trainer(job, link)
    curve = CurveWriter(job, trainer, link)
    stop = StopSwitch(job, link.rank)
    for callback in (curve, stop, SampleWriter(job, trainer, link.rank), CheckpointReporter(link, trainer)):
        trainer.add_callback(callback)
    folder = link.get_resume_folder()
    trainer.args.eval_on_start = folder is None
    curve.resumed_from_step = read_step(folder) if folder else None
    trainer.train(resume_from_checkpoint=str(folder) if folder else None)
    checkpoints = link.list_checkpoints()
    best = choose_best(checkpoints)
    source = choose_export(job.config, checkpoints, trainer.state.global_step)
    stopped = stop.stopped and trainer.state.global_step < job.num_steps
    if curve.fault is None and not stopped and link.rank == 0:
        export_training(job, trainer, source)
    trainable, total = trainer.count_parameters()
    return TrainingOutcome(
        num_steps=trainer.state.global_step,
        stopped=stopped,
        fault=curve.fault,
        resumed_from_step=curve.resumed_from_step,
        num_parameters=total,
        num_trainable_parameters=trainable,
        num_tokens=trainer.num_tokens,
        startup_s=curve.startup_s,
        train_s=curve.train_s,
        step_s=curve.step_s,
        step_tokens=curve.step_tokens,
        peak_rss_gib=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
        best_step=best.step if best else None,
        checkpoints=checkpoints,
    )


def choose_best(checkpoints: list[SavedCheckpoint]) -> SavedCheckpoint | None:
    """Return the checkpoint with the lowest validation loss, the earlier one where two are equal."""
    scored = [checkpoint for checkpoint in checkpoints if checkpoint.validation_loss is not None]
    return min(scored, key=lambda checkpoint: (checkpoint.validation_loss, checkpoint.step), default=None)


def choose_export(config: SftConfig, checkpoints: list[SavedCheckpoint], last_step: int) -> Path | None:
    """Return the checkpoint whose weights are exported: the best; ``None`` where the trainer holds them, whole."""
    best = choose_best(checkpoints) or (checkpoints[-1] if checkpoints else None)
    if best is None or (best.step == last_step and not is_sharded(config)):
        return None
    return Path(best.path)


def read_step(folder: Path) -> int:
    """Return the optimizer step at which a checkpoint was made."""
    state = transformers.TrainerState.load_from_json(str(folder / "trainer_state.json"))
    return int(state.global_step)


def _prepare_process(job: TrainingJob) -> None:
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    torch.set_num_threads(job.num_threads)
    torch.use_deterministic_algorithms(not torch.cuda.is_available())
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    datasets.utils.logging.disable_progress_bar()


class CompletionTrainer(trl.SFTTrainer):  # type: ignore[misc]  # trl is untyped here
    """TRL's trainer with the LM head run over the N positions that count in the loss, and over no other.

    TRL 1.16 does so on a GPU with Triton only; elsewhere it projects every position (``trl/trainer/utils.py``,
    ``add_fused_lm_head``). The loss is the same mean negative log-likelihood over the same tokens.
    """

    num_tokens = 0

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - passed through
        super().__init__(*args, **kwargs)
        self._kept_BT: torch.Tensor | None = None
        head = self.accelerator.unwrap_model(self.model).get_output_embeddings()
        head.register_forward_pre_hook(self._keep_counted)

    def _keep_counted(self, _head: torch.nn.Module, inputs: tuple[torch.Tensor, ...]) -> torch.Tensor | None:
        if self._kept_BT is None:
            return None
        hidden_BTH: torch.Tensor = inputs[0]
        return hidden_BTH[self._kept_BT]

    def compute_loss(
        self,
        model: torch.nn.Module,
        inputs: dict[str, torch.Tensor],
        return_outputs: bool = False,  # noqa: FBT001, FBT002 - the base class's signature
        num_items_in_batch: torch.Tensor | int | None = None,
    ) -> torch.Tensor:
        """Return the mean negative log-likelihood of the tokens that count."""
        if inputs["input_ids"].is_cuda or return_outputs:
            loss: torch.Tensor = super().compute_loss(model, inputs, return_outputs, num_items_in_batch)
            self._count_tokens(inputs)
            return loss
        labels_BT = functional.pad(inputs["labels"][:, 1:], (0, 1), value=IGNORED)
        self._kept_BT = labels_BT != IGNORED
        try:
            logits_NV = model(
                input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"], use_cache=False
            ).logits
        finally:
            targets_N, self._kept_BT = labels_BT[self._kept_BT], None
        total = functional.cross_entropy(logits_NV.float(), targets_N, reduction="sum")
        count = targets_N.numel() if num_items_in_batch is None else num_items_in_batch
        loss = total / torch.as_tensor(count).clamp(min=1)
        if self.args.average_tokens_across_devices and num_items_in_batch is not None:
            loss = loss * self.accelerator.num_processes
        self._count_tokens(inputs)
        return loss

    def _count_tokens(self, inputs: dict[str, torch.Tensor]) -> None:
        if self.model.training:
            self.num_tokens += int(self.accelerator.gather(inputs["attention_mask"].sum()).sum())
            self._metrics["train"]["num_tokens"] = [self.num_tokens]

    def count_parameters(self) -> tuple[int, int]:
        """Return ``(trainable, total)`` numbers; 4-bit and sharded weights count as the numbers that they stand for."""
        model = self.accelerator.unwrap_model(self.model)
        trainable = total = 0
        for parameter in model.parameters():
            shape = getattr(getattr(parameter, "quant_state", None), "shape", None)
            whole = getattr(parameter, "ds_numel", parameter.numel())  # DeepSpeed leaves nothing else of a shard's size
            count = int(torch.Size(shape).numel()) if shape is not None else whole
            total += count
            trainable += count if parameter.requires_grad else 0
        return trainable, total


def build_trainer(job: TrainingJob, link: TrainerLink) -> CompletionTrainer:
    """Build model, adapter and trainer for one worker."""
    config = job.config
    tokenizer = transformers.AutoTokenizer.from_pretrained(job.model_dir)
    arguments = build_arguments(job, link.world_size)
    rows = {split: read_rows(job.work_dir / f"{split}.npz") for split in ("train", "validation")}
    tables = {
        split: datasets.Dataset.from_dict(
            {"input_ids": [row.input_ids for row in found], "labels": [row.labels for row in found]}
        )
        for split, found in rows.items()
    }
    dtype = torch.float32 if has_float32_weights(config) else choose_dtype(config)
    arguments.model_init_kwargs = {"dtype": dtype, "attn_implementation": "sdpa"}
    trainer = CompletionTrainer(
        model=str(job.model_dir),
        args=arguments,
        train_dataset=tables["train"],
        eval_dataset=tables["validation"],
        processing_class=tokenizer,
        quantization_config=build_quantization(config),
        peft_config=build_adapter(config),
    )
    if config.method == "qlora":
        _mend_quantized(trainer.model, choose_dtype(config))
    return trainer


def _mend_quantized(model: torch.nn.Module, dtype: torch.dtype) -> None:
    """Make a 4-bit model trainable on a CPU, before the optimizer is made.

    bitsandbytes 0.50 repacks weights at the first evaluation on a CPU with AVX512-BF16, and the kernel for that layout
    has no gradient: every later step would learn from wrong ones (``bitsandbytes/nn/modules.py``, ``Linear4bit``).
    TRL 1.16 casts the adapter to bfloat16 whatever the weights compute in; here it follows them.
    """
    for part in model.modules():
        if hasattr(part, "support_avx512bf16_for_cpu"):
            part.support_avx512bf16_for_cpu = False
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.to(dtype)


def choose_dtype(config: SftConfig) -> torch.dtype:
    """Return the type of sums, and of weights that are not trained: bfloat16 on a GPU, float32 on a CPU."""
    if config.dtype == "auto":
        return torch.bfloat16 if torch.cuda.is_available() else torch.float32
    return torch.float32 if config.dtype == "float32" else torch.bfloat16


def build_adapter(config: SftConfig) -> peft.LoraConfig | None:
    """Return the LoRA settings; ``None`` trains every weight."""
    if config.method == "full":
        return None
    return peft.LoraConfig(
        r=config.lora_r,
        lora_alpha=config.lora_alpha,
        lora_dropout=config.lora_dropout,
        target_modules="all-linear",
        task_type="CAUSAL_LM",
    )


def build_quantization(config: SftConfig) -> transformers.BitsAndBytesConfig | None:
    """Return the 4-bit settings of QLoRA (Dettmers et al., 2023: nf4, double quantization)."""
    if config.method != "qlora":
        return None
    return transformers.BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=choose_dtype(config),
    )


def build_arguments(job: TrainingJob, world_size: int) -> trl.SFTConfig:
    """Translate the stage's configuration to TRL's, naming every default of TRL that would surprise."""
    config = job.config
    is_bf16 = choose_dtype(config) is torch.bfloat16
    return trl.SFTConfig(
        output_dir=str(job.work_dir / "scratch"),
        seed=config.seed,
        data_seed=config.seed,
        max_steps=job.num_steps,
        per_device_train_batch_size=config.batch_size,
        per_device_eval_batch_size=config.batch_size,
        gradient_accumulation_steps=config.gradient_accumulation_steps,
        learning_rate=config.learning_rate,
        lr_scheduler_type=config.lr_scheduler if config.lr_scheduler != "constant" else "constant_with_warmup",
        warmup_steps=-(-job.num_steps * config.warmup_ratio // 1),
        weight_decay=config.weight_decay,
        max_grad_norm=config.max_grad_norm,
        logging_strategy="steps",
        logging_steps=config.logging_steps,
        logging_nan_inf_filter=False,
        eval_strategy="steps",
        eval_steps=config.eval_steps,
        save_strategy="steps",
        save_steps=config.save_steps,
        bf16=is_bf16,
        use_cpu=not torch.cuda.is_available(),
        gradient_checkpointing=config.gradient_checkpointing,
        max_length=config.max_length,
        packing=False,
        report_to="none",
        disable_tqdm=True,
        dataloader_pin_memory=torch.cuda.is_available(),
        remove_unused_columns=True,
        ddp_find_unused_parameters=False if world_size > 1 else None,
        **build_strategy(config),
    )


def build_strategy(config: SftConfig) -> dict[str, Any]:
    """Return the arguments that make several GPUs share one model's state; nothing for plain data parallelism."""
    if config.strategy == "deepspeed":
        return {"deepspeed": build_deepspeed(config)}
    if config.strategy == "fsdp":
        return {
            "fsdp": "full_shard auto_wrap",
            "fsdp_config": {"version": 2, "reshard_after_forward": True, "state_dict_type": "FULL_STATE_DICT"},
        }
    return {}


def build_deepspeed(config: SftConfig) -> dict[str, Any]:
    """Return DeepSpeed's configuration: ZeRO stage 2 for adapters, 3 for full tuning; ``auto`` follows the trainer."""
    return {
        "train_micro_batch_size_per_gpu": "auto",
        "gradient_accumulation_steps": "auto",
        "gradient_clipping": "auto",
        "bf16": {"enabled": "auto"},
        "zero_optimization": {
            "stage": 3 if is_sharded(config) else 2,
            "overlap_comm": True,
            "contiguous_gradients": True,
            "stage3_gather_16bit_weights_on_model_save": True,
        },
    }
