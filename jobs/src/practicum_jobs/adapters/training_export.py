"""The folders that training exports: the adapter, and a stand-alone model with tokenizer and chat template.

With ``export_scale`` s the exported weights are ``base + s (trained - base)``, the straight line between the two models
that WiSE-FT walks (Wortsman et al., "Robust fine-tuning of zero-shot models", 2022, arXiv:2109.01903). The change that
LoRA learned is ``(lora_alpha / r) B A``, so an adapter is scaled by its ``lora_alpha`` alone, and every program that
loads it does the same sum.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import peft
import torch
import transformers

from practicum_core.stages.training import TrainingConfig
from practicum_jobs.adapters.atomic_folder import replace_folder
from practicum_jobs.adapters.training_interfaces import CountingTrainer
from practicum_jobs.adapters.training_job import TrainingJob

ADAPTER = "adapter"
MERGED = "merged"


def export_training(job: TrainingJob, trainer: CountingTrainer, checkpoint: Path | None) -> None:
    """Write ``artifacts/adapter`` (LoRA, QLoRA) and ``artifacts/merged`` from the trained weights.

    Args:
        job: What was trained.
        trainer: Holds the last step's weights, or this worker's shards of them.
        checkpoint: Whose weights are exported instead: the best one's where that is not the last step's, and always
            where the model is sharded.
    """
    artifacts = job.open_context().layout.artifacts
    model = trainer.accelerator.unwrap_model(trainer.model)
    tokenizer = transformers.AutoTokenizer.from_pretrained(job.model_dir)
    if isinstance(model, peft.PeftModel):
        replace_folder(artifacts / ADAPTER, lambda folder: _save_adapter(model, checkpoint, job, folder))
        if job.config.export_merged:
            replace_folder(artifacts / MERGED, lambda folder: _save_merged(artifacts / ADAPTER, job, tokenizer, folder))
        return
    replace_folder(artifacts / MERGED, lambda folder: _save_full(model, checkpoint, job, tokenizer, folder))


def _save_adapter(model: peft.PeftModel, checkpoint: Path | None, job: TrainingJob, folder: Path) -> None:
    if checkpoint is None:
        model.save_pretrained(folder)
        (folder / "README.md").unlink(missing_ok=True)
    else:
        for name in (peft.utils.CONFIG_NAME, peft.utils.SAFETENSORS_WEIGHTS_NAME):
            shutil.copy(checkpoint / name, folder)
    _scale_adapter(folder / peft.utils.CONFIG_NAME, job.config)
    shutil.copy(job.model_dir / "tokenizer.json", folder)


def _scale_adapter(file: Path, config: TrainingConfig) -> None:
    settings = json.loads(file.read_text(encoding="utf-8"))
    settings["lora_alpha"] = scale_alpha(config)
    file.write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")


def scale_alpha(config: TrainingConfig) -> float:
    """Return the ``lora_alpha`` of the exported adapter: a whole number where it is one, as PEFT declares it.

    >>> from practicum_core.stages.sft import SftConfig
    >>> scale_alpha(SftConfig(lora_alpha=32, export_scale=0.75)), scale_alpha(SftConfig(lora_alpha=1, export_scale=0.5))
    (24, 0.5)
    """
    alpha = config.lora_alpha * config.export_scale
    return int(alpha) if alpha.is_integer() else alpha


def _save_merged(
    adapter: Path, job: TrainingJob, tokenizer: transformers.PreTrainedTokenizerBase, folder: Path
) -> None:
    """Merge into the base model's own weights, read anew: 4-bit weights would be merged with their rounding."""
    base = transformers.AutoModelForCausalLM.from_pretrained(job.model_dir, dtype="auto")
    merged = peft.PeftModel.from_pretrained(base, adapter).merge_and_unload()
    save_model(merged, job.model_dir, tokenizer, folder)


def _save_full(
    model: transformers.PreTrainedModel,
    checkpoint: Path | None,
    job: TrainingJob,
    tokenizer: transformers.PreTrainedTokenizerBase,
    folder: Path,
) -> None:
    if checkpoint is not None:
        model = transformers.AutoModelForCausalLM.from_pretrained(checkpoint, dtype="auto")
    if job.config.export_scale < 1:
        base = transformers.AutoModelForCausalLM.from_pretrained(job.model_dir, dtype="auto")
        move_towards(model, base, job.config.export_scale)
    save_model(model, job.model_dir, tokenizer, folder)


def move_towards(model: torch.nn.Module, base: torch.nn.Module, share: float) -> None:
    """Replace the weights of a model by ``base + share (model - base)``.

    Args:
        model: Changed in place.
        base: With the same weights' names and shapes.
        share: From 0, the base, to 1, the model as it is.
    """
    starts = dict(base.named_parameters())
    with torch.no_grad():
        for name, weight in model.named_parameters():
            weight.copy_(torch.lerp(starts[name].to(weight.device, weight.dtype), weight, share))


def save_model(
    model: transformers.PreTrainedModel,
    model_dir: Path,
    tokenizer: transformers.PreTrainedTokenizerBase,
    folder: Path,
) -> None:
    """Write a whole model's folder: weights, configuration, tokenizer, chat template, generation configuration."""
    with torch.no_grad():
        model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    source = model_dir / "generation_config.json"
    if source.is_file():
        shutil.copy(source, folder)
