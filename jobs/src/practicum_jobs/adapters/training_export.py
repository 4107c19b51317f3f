"""The folders that training exports: the adapter, and a stand-alone model with tokenizer and chat template."""

from __future__ import annotations

import shutil
from pathlib import Path

import peft
import torch
import transformers

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
        replace_folder(artifacts / ADAPTER, lambda folder: _save_adapter(model, checkpoint, job.model_dir, folder))
        if job.config.export_merged:
            replace_folder(artifacts / MERGED, lambda folder: _save_merged(artifacts / ADAPTER, job, tokenizer, folder))
        return
    replace_folder(artifacts / MERGED, lambda folder: _save_full(model, checkpoint, job.model_dir, tokenizer, folder))


def _save_adapter(model: peft.PeftModel, checkpoint: Path | None, model_dir: Path, folder: Path) -> None:
    if checkpoint is None:
        model.save_pretrained(folder)
        (folder / "README.md").unlink(missing_ok=True)
    else:
        for name in (peft.utils.CONFIG_NAME, peft.utils.SAFETENSORS_WEIGHTS_NAME):
            shutil.copy(checkpoint / name, folder)
    shutil.copy(model_dir / "tokenizer.json", folder)


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
    model_dir: Path,
    tokenizer: transformers.PreTrainedTokenizerBase,
    folder: Path,
) -> None:
    if checkpoint is not None:
        model = transformers.AutoModelForCausalLM.from_pretrained(checkpoint, dtype="auto")
    save_model(model, model_dir, tokenizer, folder)


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
