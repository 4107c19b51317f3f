# ruff: noqa: N806, ANN401 - shapes stand in names; arguments are the library's own and untyped here
"""TRL's trainer for direct preference optimization, on pairs that are tokens already."""

from __future__ import annotations

from typing import Any

import datasets
import torch
import transformers
import trl

from practicum_core.stages.dpo import DpoConfig
from practicum_jobs.adapters.training_interfaces import TrainerLink
from practicum_jobs.adapters.training_job import TokenRow, TrainingJob, is_sharded, read_rows
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

    curves = (*(f"{prefix}{name}" for prefix in ("", "eval_") for name in _LOGGED), "eval_kl")
    has_whole_weights = True
    """Whether this process holds every weight, so that rows may be looked at one by one."""

    def _prepare_dataset(self, dataset: datasets.Dataset, *_: object) -> datasets.Dataset:
        """Leave the rows alone: they have ``prompt_ids``, ``chosen_ids`` and ``rejected_ids`` already."""
        return dataset

    def prediction_step(
        self,
        model: Any,
        inputs: dict[str, Any],
        prediction_loss_only: bool,  # noqa: FBT001 - the library's signature
        ignore_keys: list[str] | None = None,
    ) -> Any:
        """Measure a batch of validation pairs as TRL does, and how far the policy moved from the reference."""
        result = super().prediction_step(model, inputs, prediction_loss_only, ignore_keys)
        if self.has_whole_weights:
            self._metrics["eval"]["kl"].append(self._measure_kl(self._prepare_inputs(inputs)))
        return result

    def _measure_kl(self, inputs: dict[str, Any]) -> float:
        """Return the mean KL(policy || reference) of a batch in nats, over the answer tokens of its chosen sides.

        Exact over the vocabulary at each position, row by row: the logits of one row are in memory at a time.
        """
        model = self.accelerator.unwrap_model(self.model)
        sums_2 = torch.zeros(2, device=self.accelerator.device)
        for row in range(len(inputs["input_ids"]) // 2):  # chosen sides come first
            tokens_1T = inputs["input_ids"][row : row + 1]
            mask_1T = inputs["attention_mask"][row : row + 1]
            is_answer_T = inputs["completion_mask"][row, 1:].bool()
            with torch.no_grad(), self.compute_loss_context_manager():
                policy_NV = model(input_ids=tokens_1T, attention_mask=mask_1T).logits[0, :-1][is_answer_T]
                with model.disable_adapter():
                    reference_NV = model(input_ids=tokens_1T, attention_mask=mask_1T).logits[0, :-1][is_answer_T]
            policy_NV, reference_NV = policy_NV.float().log_softmax(-1), reference_NV.float().log_softmax(-1)
            sums_2 += torch.stack([(policy_NV.exp() * (policy_NV - reference_NV)).sum(), is_answer_T.sum()])
        total_2 = self.accelerator.gather(sums_2[None]).sum(dim=0)
        return float(total_2[0] / total_2[1].clamp(min=1))

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
    arguments.model_init_kwargs = {"dtype": choose_dtype(config)}
    trainer = PreferenceTrainer(
        model=str(job.model_dir),
        args=arguments,
        train_dataset=build_table(read_rows(job.work_dir / "train.npz")),
        eval_dataset=build_table(read_rows(job.work_dir / "validation.npz")),
        processing_class=transformers.AutoTokenizer.from_pretrained(job.model_dir),
        quantization_config=build_quantization(config),
        peft_config=build_adapter(config),
    )
    trainer.has_whole_weights = not is_sharded(config)
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
