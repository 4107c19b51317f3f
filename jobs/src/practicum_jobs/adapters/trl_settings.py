"""The stage's configuration as the settings of TRL, PEFT, bitsandbytes and DeepSpeed, the same for every trainer."""

from __future__ import annotations

import math
from typing import Any

import peft
import torch
import transformers

from practicum_core.stages.training import TrainingConfig
from practicum_jobs.adapters.training_job import TrainingJob, is_sharded


def prepare_quantized_training(model: torch.nn.Module, dtype: torch.dtype) -> None:
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


def choose_dtype(config: TrainingConfig) -> torch.dtype:
    """Return the type of the computation and of frozen weights: bfloat16 on a GPU, float32 on a CPU."""
    if config.dtype == "auto":
        return torch.bfloat16 if torch.cuda.is_available() else torch.float32
    return torch.float32 if config.dtype == "float32" else torch.bfloat16


def build_adapter(config: TrainingConfig) -> peft.LoraConfig | None:
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


def build_quantization(config: TrainingConfig) -> transformers.BitsAndBytesConfig | None:
    """Return the 4-bit settings of QLoRA (Dettmers et al., 2023: nf4, double quantization)."""
    if config.method != "qlora":
        return None
    return transformers.BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=choose_dtype(config),
    )


def build_arguments(job: TrainingJob, world_size: int) -> dict[str, Any]:
    """Translate the stage's configuration to the arguments that every trainer of TRL takes.

    Arguments whose default in TRL differs from the one in transformers are named, so that the difference shows.
    """
    config = job.config
    is_bf16 = choose_dtype(config) is torch.bfloat16
    return {
        "output_dir": str(job.work_dir / "scratch"),
        "seed": config.seed,
        "data_seed": config.seed,
        "max_steps": job.num_steps,
        "per_device_train_batch_size": config.batch_size,
        "per_device_eval_batch_size": config.batch_size,
        "gradient_accumulation_steps": config.gradient_accumulation_steps,
        "learning_rate": config.learning_rate,
        "lr_scheduler_type": config.lr_scheduler if config.lr_scheduler != "constant" else "constant_with_warmup",
        "warmup_steps": math.ceil(job.num_steps * config.warmup_ratio),
        "weight_decay": config.weight_decay,
        "max_grad_norm": config.max_grad_norm,
        "logging_strategy": "steps",
        "logging_steps": config.logging_steps,
        "logging_nan_inf_filter": False,
        "eval_strategy": "steps",
        "eval_steps": config.eval_steps,
        "save_strategy": "steps",
        "save_steps": config.save_steps,
        "bf16": is_bf16,
        "use_cpu": not torch.cuda.is_available(),
        "gradient_checkpointing": config.gradient_checkpointing,
        "report_to": "none",
        "disable_tqdm": True,
        "dataloader_pin_memory": torch.cuda.is_available(),
        "remove_unused_columns": True,
        "ddp_find_unused_parameters": False if world_size > 1 else None,
        **({} if config.optimizer == "adamw" else {"optim": config.optimizer}),
        **build_strategy(config),
    }


def build_strategy(config: TrainingConfig) -> dict[str, Any]:
    """Return the arguments that make several GPUs share one model's state; nothing for plain data parallelism."""
    if config.strategy == "deepspeed":
        return {"deepspeed": build_deepspeed(config)}
    if config.strategy == "fsdp":
        return {
            "fsdp": "full_shard auto_wrap",
            "fsdp_config": {"version": 2, "reshard_after_forward": True, "state_dict_type": "FULL_STATE_DICT"},
        }
    return {}


def build_deepspeed(config: TrainingConfig) -> dict[str, Any]:
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
