"""TRL's trainer for direct preference optimization, on pairs that are tokens already."""

from __future__ import annotations

import datasets
import transformers
import trl

from practicum_core.stages.dpo import DpoConfig
from practicum_jobs.adapters.training_interfaces import TrainerLink
from practicum_jobs.adapters.training_job import TokenRow, TrainingJob, read_rows
from practicum_jobs.adapters.trl_settings import (
    build_adapter,
    build_arguments,
    build_quantization,
    choose_dtype,
    prepare_quantized_training,
)

_LOGGED = (
    "rewards/chosen",
    "rewards/rejected",
    "rewards/accuracies",
    "rewards/margins",
    "logps/chosen",
    "logps/rejected",
)


class PreferenceTrainer(trl.DPOTrainer):  # type: ignore[misc]  # trl is untyped here
    """TRL's trainer without its own tokenization, so that training sees the tokens that the checks saw.

    The reference is the same model with its adapter switched off (TRL does so where it gets ``peft_config``).
    """

    curves = tuple(f"{prefix}{name}" for prefix in ("", "eval_") for name in _LOGGED)

    def _prepare_dataset(self, dataset: datasets.Dataset, *_: object) -> datasets.Dataset:
        """Leave the rows alone: they have ``prompt_ids``, ``chosen_ids`` and ``rejected_ids`` already."""
        return dataset

    @property
    def num_tokens(self) -> int:
        """Tokens of both sides that were trained on, of all ranks, padding left out."""
        return int(self._total_train_tokens)

    @num_tokens.setter
    def num_tokens(self, count: int) -> None:
        self._total_train_tokens = count


def build_trainer(job: TrainingJob, link: TrainerLink) -> PreferenceTrainer:
    """Build model, adapter and trainer for one worker; the entry point that :class:`TrainingJob` names.

    Raises:
        TypeError: The job's options are those of another stage.
    """
    config = job.config
    if not isinstance(config, DpoConfig):
        raise TypeError(type(config).__name__)
    arguments = trl.DPOConfig(
        **build_arguments(job, link.world_size),
        max_length=config.max_length,
        beta=config.beta,
        disable_dropout=True,
    )
    arguments.model_init_kwargs = {"dtype": choose_dtype(config), "attn_implementation": "sdpa"}
    trainer = PreferenceTrainer(
        model=str(job.model_dir),
        args=arguments,
        train_dataset=build_table(read_rows(job.work_dir / "train.npz")),
        eval_dataset=build_table(read_rows(job.work_dir / "validation.npz")),
        processing_class=transformers.AutoTokenizer.from_pretrained(job.model_dir),
        quantization_config=build_quantization(config),
        peft_config=build_adapter(config),
    )
    if config.method == "qlora":
        prepare_quantized_training(trainer.model, choose_dtype(config))
    return trainer


def build_table(rows: list[TokenRow]) -> datasets.Dataset:
    """Build the table of pairs from rows whose first half is chosen and whose second half is rejected."""
    middle = len(rows) // 2
    pairs = list(zip(rows[:middle], rows[middle:], strict=True))
    shared = [min(chosen.prompt_length, rejected.prompt_length) for chosen, rejected in pairs]
    return datasets.Dataset.from_dict(
        {
            "prompt_ids": [chosen.input_ids[:at] for (chosen, _), at in zip(pairs, shared, strict=True)],
            "chosen_ids": [chosen.input_ids[at:] for (chosen, _), at in zip(pairs, shared, strict=True)],
            "rejected_ids": [rejected.input_ids[at:] for (_, rejected), at in zip(pairs, shared, strict=True)],
        }
    )
