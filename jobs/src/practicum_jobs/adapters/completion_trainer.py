# ruff: noqa: N806 - shapes stand in names
"""TRL's trainer for supervised fine-tuning, with the loss on the answers' tokens alone.

Shapes: B rows in the batch, T tokens of the longest row, H hidden size, V vocabulary, N positions that count in the
loss.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import datasets
import torch
import transformers
import trl
from torch.nn import functional

from practicum_jobs.adapters.training_interfaces import TrainerLink
from practicum_jobs.adapters.training_job import IGNORED, TrainingJob, has_float32_weights, read_rows
from practicum_jobs.adapters.trl_settings import (
    build_adapter,
    build_arguments,
    build_quantization,
    choose_dtype,
    prepare_quantized_training,
)


class CompletionTrainer(trl.SFTTrainer):  # type: ignore[misc]  # trl is untyped here
    """TRL's trainer, with the LM head applied only to the N positions that count in the loss.

    TRL 1.16 does so on a GPU with Triton only; elsewhere it projects every position (``trl/trainer/utils.py``,
    ``add_fused_lm_head``). The loss is the same mean negative log-likelihood over the same tokens.
    """

    num_tokens = 0
    curves: tuple[str, ...] = ()

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
            counted = self._total_train_tokens
            loss: torch.Tensor = super().compute_loss(model, inputs, return_outputs, num_items_in_batch)
            self._add_tokens(self._total_train_tokens - counted)  # counting them again would wait for the GPU again
            return loss
        labels_BT = functional.pad(inputs["labels"][:, 1:], (0, 1), value=IGNORED)
        self._kept_BT = labels_BT != IGNORED
        try:
            logits_NV = model(
                input_ids=inputs["input_ids"],
                attention_mask=inputs.get("attention_mask"),
                position_ids=inputs.get("position_ids"),
                use_cache=False,
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
            mask = inputs.get("attention_mask")
            count = torch.tensor(inputs["input_ids"].numel()) if mask is None else mask.sum()
            self._add_tokens(int(self.accelerator.gather(count).sum()))

    def _add_tokens(self, count: int) -> None:
        if self.model.training:
            self.num_tokens += count
            self._metrics["train"]["num_tokens"] = [self.num_tokens]


def pack_rows(rows: Sequence[Mapping[str, Sequence[int]]]) -> dict[str, torch.Tensor]:
    """Lay the rows of a batch end to end: ``input_ids``, ``labels`` and ``position_ids``, each of shape (1, T).

    Positions start anew at each row, and there is no attention mask: of that, transformers makes a mask that keeps the
    rows apart (``transformers/masking_utils.py``, ``find_packed_sequence_indices``). A row's first token has no label,
    since the token before it is another row's.
    """
    labels = [[IGNORED, *row["labels"][1:]] for row in rows]
    return {
        "input_ids": torch.tensor([[token for row in rows for token in row["input_ids"]]]),
        "labels": torch.tensor([[label for row in labels for label in row]]),
        "position_ids": torch.cat([torch.arange(len(row["input_ids"])) for row in rows])[None],
    }


def build_trainer(job: TrainingJob, link: TrainerLink) -> CompletionTrainer:
    """Build model, adapter and trainer for one worker; the entry point that :class:`TrainingJob` names."""
    config = job.config
    tokenizer = transformers.AutoTokenizer.from_pretrained(job.model_dir)
    arguments = trl.SFTConfig(**build_arguments(job, link.world_size), max_length=config.max_length, packing=False)
    rows = {split: read_rows(job.work_dir / f"{split}.npz") for split in ("train", "validation")}
    tables = {
        split: datasets.Dataset.from_dict(
            {"input_ids": [row.input_ids for row in found], "labels": [row.labels for row in found]}
        )
        for split, found in rows.items()
    }
    dtype = torch.float32 if has_float32_weights(config) else choose_dtype(config)
    arguments.model_init_kwargs = {"dtype": dtype}
    trainer = CompletionTrainer(
        model=str(job.model_dir),
        args=arguments,
        train_dataset=tables["train"],
        eval_dataset=tables["validation"],
        processing_class=tokenizer,
        data_collator=pack_rows if config.is_packed else None,
        quantization_config=build_quantization(config),
        peft_config=build_adapter(config),
    )
    if config.method == "qlora":
        prepare_quantized_training(trainer.model, choose_dtype(config))
    return trainer
