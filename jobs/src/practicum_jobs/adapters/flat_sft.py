# ruff: noqa: N806 - shapes stand in names
"""LoRA fine-tuning in one file, to be read from top to bottom. No trainer, no PEFT, no Ray: torch and a model.

Does what the composed trainer does with ``engine=ray, method=lora, num_workers=1``, and reaches the same loss on the
same rows. What it leaves out: several workers, 4-bit weights, samples while it trains, keeping old checkpoints.

Letters in names:  B rows in a batch   T tokens of the longest row   H hidden size   V vocabulary
                   N positions whose next token counts in the loss   R rank of the adapter

The parts, in order:
    1. LoraLinear      a frozen layer with two small trainable matrices beside it
    2. batches         which rows, in which order, padded how
    3. loss            how wrong the model is, on the answer's tokens alone
    4. train_flat      the loop: learning rate, step, evaluation, checkpoint
    5. export          adapter in PEFT's format, and the merged model
"""

from __future__ import annotations

import json
import math
import resource
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
import transformers
from torch import nn
from torch.nn import functional

from practicum_core.atomic import append_json_line, open_atomic
from practicum_core.stages.training import TrainingConfig
from practicum_jobs.adapters.atomic_folder import replace_folder
from practicum_jobs.adapters.training_export import ADAPTER, MERGED, save_model, scale_alpha
from practicum_jobs.adapters.training_job import (
    IGNORED,
    Fault,
    SavedCheckpoint,
    TokenRow,
    TrainingJob,
    TrainingOutcome,
    UntrainableError,
    read_rows,
)

# 1. The adapter -------------------------------------------------------------------------------------------------------


class LoraLinear(nn.Module):  # type: ignore[misc]  # torch is untyped here
    """``W x + (alpha / r) B A x``: W stays as it was, A and B learn (Hu et al., 2021).

    A starts random and B at zero, so that training starts from the base model exactly. The draws are made in the order
    in which PEFT makes them, so that one seed gives both the same A.
    """

    def __init__(self, base: nn.Linear, config: TrainingConfig) -> None:
        super().__init__()
        self.base = base
        self.lora_A = nn.Linear(base.in_features, config.lora_r, bias=False)  # (R, in)
        self.lora_B = nn.Linear(config.lora_r, base.out_features, bias=False)  # (out, R)
        nn.init.kaiming_uniform_(self.lora_A.weight, a=math.sqrt(5))
        nn.init.zeros_(self.lora_B.weight)
        self.scaling = config.lora_alpha / config.lora_r
        self.dropout = nn.Dropout(config.lora_dropout)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map ``(..., in)`` to ``(..., out)``."""
        low: torch.Tensor = self.base(x) + self.lora_B(self.lora_A(self.dropout(x))) * self.scaling
        return low


def add_adapters(model: nn.Module, config: TrainingConfig) -> dict[str, LoraLinear]:
    """Freeze the model, put an adapter on every linear layer but the LM head, and return them by name."""
    model.requires_grad_(requires_grad=False)
    names = [name for name, part in model.named_modules() if isinstance(part, nn.Linear) and name != "lm_head"]
    adapters = {}
    for name in names:
        parent, _, child = name.rpartition(".")
        adapters[name] = LoraLinear(model.get_submodule(name), config)
        setattr(model.get_submodule(parent), child, adapters[name])
    return adapters


# 2. The batches -------------------------------------------------------------------------------------------------------


def iter_batches(rows: list[TokenRow], config: TrainingConfig) -> Iterator[list[TokenRow]]:
    """Yield batches without end: each epoch draws a new order from ``seed + epoch``."""
    epoch = 0
    while True:
        generator = torch.Generator().manual_seed(config.seed + epoch)
        order = torch.randperm(len(rows), generator=generator).tolist()
        for start in range(0, len(order), config.batch_size):
            yield [rows[at] for at in order[start : start + config.batch_size]]
        epoch += 1


def pad_batch(rows: list[TokenRow], pad_id: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return ``input_ids_BT, attention_BT, labels_BT``, padded on the right to the longest row of this batch."""
    T = max(len(row.input_ids) for row in rows)
    input_ids_BT = torch.tensor([row.input_ids + [pad_id] * (T - len(row.input_ids)) for row in rows])
    labels_BT = torch.tensor([row.labels + [IGNORED] * (T - len(row.labels)) for row in rows])
    lengths_B1 = torch.tensor([[len(row.input_ids)] for row in rows])
    attention_BT = (torch.arange(T)[None, :] < lengths_B1).long()
    return input_ids_BT, attention_BT, labels_BT


# 3. The loss ----------------------------------------------------------------------------------------------------------


def sum_loss(model: Any, rows: list[TokenRow], pad_id: int) -> tuple[torch.Tensor, int]:  # noqa: ANN401 - untyped
    """Return the summed negative log-likelihood of the tokens that count, and how many they are."""
    input_ids_BT, attention_BT, labels_BT = pad_batch(rows, pad_id)
    hidden_BTH = model.model(input_ids=input_ids_BT, attention_mask=attention_BT, use_cache=False).last_hidden_state
    # Position t predicts token t + 1, so the labels move one to the left.
    targets_BT = functional.pad(labels_BT[:, 1:], (0, 1), value=IGNORED)
    counts_BT = targets_BT != IGNORED
    # The LM head is a fifth of the model's work: only the N positions that count go through it.
    logits_NV = model.lm_head(hidden_BTH[counts_BT]).float()
    targets_N = targets_BT[counts_BT]
    return functional.cross_entropy(logits_NV, targets_N, reduction="sum"), targets_N.numel()


@torch.no_grad()  # type: ignore[untyped-decorator]  # as above
def evaluate(model: Any, rows: list[TokenRow], config: TrainingConfig, pad_id: int) -> float:  # noqa: ANN401 - untyped
    """Return the mean loss per token over all rows, weighting each batch by its rows as the composed trainer does."""
    model.eval()
    total = 0.0
    for start in range(0, len(rows), config.batch_size):
        batch = rows[start : start + config.batch_size]
        loss, count = sum_loss(model, batch, pad_id)
        total += float(loss) / count * len(batch)
    model.train()
    return total / len(rows)


# 4. The loop ----------------------------------------------------------------------------------------------------------


def get_learning_rate(step: int, num_steps: int, config: TrainingConfig) -> float:
    """Return the rate of step ``step`` (from 0): it rises over the warm-up, then falls or stays."""
    warmup = math.ceil(num_steps * config.warmup_ratio)
    if step < warmup:
        return config.learning_rate * step / warmup
    share = (step - warmup) / max(num_steps - warmup, 1)
    factor = {"cosine": 0.5 * (1 + math.cos(math.pi * share)), "linear": 1 - share, "constant": 1.0}
    return config.learning_rate * factor[config.lr_scheduler]


def train_flat(job: TrainingJob, is_stop_requested: Callable[[], bool]) -> TrainingOutcome:  # noqa: C901, PLR0912, PLR0915 - flat on purpose
    """Train a LoRA adapter from the last checkpoint or from the start, export it, and tell what was done."""
    config, layout = job.config, job.open_context().layout
    checkpoint = layout.root / "checkpoints" / "flat.pt"
    torch.set_num_threads(job.num_threads)
    torch.use_deterministic_algorithms(mode=True)
    transformers.utils.logging.disable_progress_bar()
    transformers.set_seed(config.seed)

    tokenizer = transformers.AutoTokenizer.from_pretrained(job.model_dir)
    pad_id = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else tokenizer.eos_token_id
    model = transformers.AutoModelForCausalLM.from_pretrained(job.model_dir, dtype=torch.float32)
    adapters = add_adapters(model, config)
    if not adapters:
        raise UntrainableError(ValueError(f"{type(model).__name__} has no torch.nn.Linear to put an adapter beside"))
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=config.learning_rate, weight_decay=config.weight_decay)
    train, validation = (read_rows(job.work_dir / f"{split}.npz") for split in ("train", "validation"))

    def log(step: int, **values: float) -> None:
        elapsed_s = round(time.time() - job.started_at_s, 3)
        append_json_line(layout.metrics, {"step": step, "time_s": elapsed_s, **values})

    def save(step: int) -> None:
        state = {name: adapter.state_dict() for name, adapter in adapters.items()}
        weights = {name: {k: v for k, v in parts.items() if "lora" in k} for name, parts in state.items()}
        rng = torch.random.get_rng_state()
        counted = {"step": step, "num_tokens": num_tokens + step_tokens, "train_losses": train_losses}
        with open_atomic(checkpoint) as handle:
            torch.save({**counted, "adapters": weights, "optimizer": optimizer.state_dict(), "rng": rng}, handle)

    done, num_tokens, step_tokens, resumed_from_step = 0, 0, 0, None
    train_losses: list[float] = []
    losses: dict[int, float] = {}
    if checkpoint.is_file():
        saved = torch.load(checkpoint, weights_only=True)
        for name, weights in saved["adapters"].items():
            adapters[name].load_state_dict(weights, strict=False)
        optimizer.load_state_dict(saved["optimizer"])
        torch.random.set_rng_state(saved["rng"])
        done = resumed_from_step = saved["step"]
        num_tokens, train_losses = saved["num_tokens"], saved["train_losses"]
        job.watchdog.resume(train_losses)
        log(done, restart=1)
    else:
        if layout.metrics.is_file():
            log(0, restart=1)  # an earlier attempt ended before its first checkpoint
        losses[0] = evaluate(model, validation, config, pad_id)
        log(0, eval_loss=losses[0])

    model.train()
    batches = iter_batches(train, config)
    for _ in range(done * config.gradient_accumulation_steps):
        next(batches)  # these were trained on before the checkpoint
    startup_s, began_s, stopped = time.time() - job.started_at_s, time.monotonic(), False
    step_s = 0.0
    fault: Fault | None = None
    while done < job.num_steps and fault is None and not stopped:
        step_began_s = time.monotonic()
        micro_batches = [next(batches) for _ in range(config.gradient_accumulation_steps)]
        # Every token weighs the same, in whichever micro-batch it stands.
        count = sum(label != IGNORED for batch in micro_batches for row in batch for label in row.labels[1:])
        total = 0.0
        for batch in micro_batches:
            loss = sum_loss(model, batch, pad_id)[0] / count
            loss.backward()
            total += float(loss.detach())
            step_tokens += sum(len(row.input_ids) for row in batch)
        grad_norm = float(nn.utils.clip_grad_norm_(trained, config.max_grad_norm))
        rate = get_learning_rate(done, job.num_steps, config)
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.step()
        optimizer.zero_grad()
        done += 1
        step_s += time.monotonic() - step_began_s
        log(done, loss=total, learning_rate=rate, grad_norm=grad_norm, num_tokens=num_tokens + step_tokens)
        train_losses.append(total)
        fault = job.watchdog.observe(done, total, grad_norm)
        stopped = is_stop_requested() and done < job.num_steps
        if fault is None and (done % config.eval_steps == 0 or done == job.num_steps):
            losses[done] = evaluate(model, validation, config, pad_id)
            log(done, eval_loss=losses[done])
        if fault is None and (stopped or done % config.save_steps == 0 or done == job.num_steps):
            save(done)
        job.open_context().progress(done / job.num_steps, f"step {done} of {job.num_steps}")

    if fault is None and not stopped:
        export(job, adapters, model, tokenizer)
    return TrainingOutcome(
        num_steps=done,
        stopped=stopped,
        fault=fault,
        resumed_from_step=resumed_from_step,
        num_parameters=sum(parameter.numel() for parameter in model.parameters()),
        num_trainable_parameters=sum(parameter.numel() for parameter in trained),
        num_tokens=num_tokens + step_tokens,
        startup_s=startup_s,
        train_s=time.monotonic() - began_s,
        step_s=step_s,
        step_tokens=step_tokens,
        peak_rss_gib=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
        best_step=done,
        checkpoints=[SavedCheckpoint(done, losses.get(done), str(checkpoint))],
    )


# 5. The export --------------------------------------------------------------------------------------------------------


def export(
    job: TrainingJob,
    adapters: dict[str, LoraLinear],
    model: transformers.PreTrainedModel,
    tokenizer: transformers.PreTrainedTokenizerBase,
) -> None:
    """Write the adapter under the names that PEFT gives it, then fold it into the weights and write the model."""
    artifacts = job.open_context().layout.artifacts
    replace_folder(artifacts / ADAPTER, lambda folder: _write_adapter(job, adapters, folder))
    for name, adapter in adapters.items():
        with torch.no_grad():
            scaling = adapter.scaling * job.config.export_scale
            adapter.base.weight += scaling * (adapter.lora_B.weight @ adapter.lora_A.weight)
        parent, _, child = name.rpartition(".")
        setattr(model.get_submodule(parent), child, adapter.base)
    if job.config.export_merged:
        replace_folder(artifacts / MERGED, lambda folder: save_model(model, job.model_dir, tokenizer, folder))


def _write_adapter(job: TrainingJob, adapters: dict[str, LoraLinear], folder: Path) -> None:
    weights = {
        f"base_model.model.{name}.{part}.weight": getattr(adapter, part).weight.detach().contiguous()
        for name, adapter in adapters.items()
        for part in ("lora_A", "lora_B")
    }
    safetensors.torch.save_file(weights, folder / "adapter_model.safetensors", metadata={"format": "pt"})
    settings = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": str(job.model_dir),
        "r": job.config.lora_r,
        "lora_alpha": scale_alpha(job.config),
        "lora_dropout": job.config.lora_dropout,
        "target_modules": sorted({name.rpartition(".")[2] for name in adapters}),
        "bias": "none",
        "inference_mode": True,
    }
    (folder / "adapter_config.json").write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")
