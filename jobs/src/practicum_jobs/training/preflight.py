"""Checks before training: rows, chat template, options and memory. Every problem found is in one message."""

from __future__ import annotations

import re
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from practicum_core.errors import ConfigError, Reason
from practicum_core.name_lists import name_some
from practicum_core.stages.training import TrainingConfig
from practicum_jobs.training.encoding import EncodedRow
from practicum_jobs.training.memory import FreeMemory, MemoryEstimate, ModelShape, estimate_memory

_MARKER = re.compile(r"<\|[^|<>\s]{1,40}\|>|</?s>|<(?:start|end)_of_turn>")
_SHOWN = 5


@dataclass(frozen=True)
class ModelFacts:
    """What the checks need to know about the model.

    Attributes:
        family: ``model_type`` of its configuration.
        shape: Its sizes.
        special_ids: Ids of its added tokens, by text.
        stop_ids: Tokens that end an answer: of the generation configuration and the tokenizer.
        num_positions: Tokens that the model can look at; ``None`` where its configuration names no limit.
    """

    family: str
    shape: ModelShape
    special_ids: dict[str, int]
    stop_ids: AbstractSet[int]
    num_positions: int | None = None


@dataclass(frozen=True)
class Preflight:
    """What the checks measured."""

    truncated_ratio: float
    memory: MemoryEstimate
    problems: tuple[str, ...]

    def raise_if_failed(self) -> None:
        """Raise one error that names every problem.

        Raises:
            ConfigError: At least one check failed.
        """
        if self.problems:
            raise ConfigError(
                "; ".join(self.problems),
                "correct the named rows or options; nothing was trained",
                Reason.PREFLIGHT_FAILED,
            )


def check_before_training(
    rows: Sequence[EncodedRow], template_text: str, model: ModelFacts, config: TrainingConfig, free: FreeMemory
) -> Preflight:
    """Run every check.

    Args:
        rows: Training and validation rows, encoded.
        template_text: A conversation with empty contents as the chat template renders it.
        model: Facts about the base model.
        config: How training would run.
        free: Memory that is free, and how many workers share it.
    """
    memory = estimate_largest_batch(rows, model.shape, config, free)
    truncated_ratio = sum(row.is_truncated for row in rows) / max(len(rows), 1)
    found = [
        *check_options(config),
        check_template(template_text, model),
        check_prompts(rows),
        check_trainable_tokens(rows),
        check_stop_token(rows, model.stop_ids),
        check_truncation(truncated_ratio, config),
        check_positions(rows, model.num_positions),
        check_memory(memory, free),
    ]
    return Preflight(truncated_ratio, memory, tuple(problem for problem in found if problem))


def check_options(config: TrainingConfig) -> list[str]:
    """Return a problem for each combination of options that cannot work."""
    problems = []
    if config.engine == "flat" and (config.method != "lora" or config.num_workers > 1):
        problems.append("engine=flat trains with method=lora and num_workers=1 only")
    if config.engine == "flat" and (config.optimizer != "adamw" or config.is_packed):
        problems.append("engine=flat trains with optimizer=adamw and without packing")
    if config.optimizer == "adamw_8bit" and config.strategy != "ddp":
        problems.append("optimizer=adamw_8bit keeps whole weights: use strategy=ddp")
    if config.strategy != "ddp" and config.method == "qlora" and config.strategy == "deepspeed":
        problems.append("strategy=deepspeed does not shard 4-bit weights: use ddp or fsdp with method=qlora")
    return problems


def check_template(text: str, model: ModelFacts) -> str | None:
    """Return a problem when the template writes markers that are no single tokens of this model's vocabulary.

    With the template of another family of models training seems to succeed, but the model never learns to stop.
    """
    foreign = sorted({marker for marker in _MARKER.findall(text) if marker not in model.special_ids})
    if foreign:
        return (
            f"the chat template is not of this model's family ({model.family}): it writes {', '.join(foreign)}, which "
            "the tokenizer does not know as one token"
        )
    outside = sorted(name for name, token in model.special_ids.items() if name in text and token >= model.shape.vocab)
    if outside:
        return f"the template's tokens {', '.join(outside)} lie outside the model's vocabulary of {model.shape.vocab}"
    return None


def check_prompts(rows: Sequence[EncodedRow]) -> str | None:
    """Return a problem when a prompt renders to other tokens alone than inside the conversation."""
    changed = [row.row.id for row in rows if not row.is_prompt_kept]
    if changed:
        return (
            f"{len(changed)} rows: the prompt alone renders to other tokens than inside the conversation, so training "
            f"would see another context than inference ({name_some(changed, _SHOWN)})"
        )
    return None


def check_trainable_tokens(rows: Sequence[EncodedRow]) -> str | None:
    """Return a problem when rows have no token that counts in the loss."""
    empty = [row.row.id for row in rows if row.num_trainable == 0]
    return f"{len(empty)} rows have no token that counts in the loss ({name_some(empty, _SHOWN)})" if empty else None


def check_stop_token(rows: Sequence[EncodedRow], stop_ids: AbstractSet[int]) -> str | None:
    """Return a problem when whole rows do not end with a stop token that counts in the loss."""
    missing = [
        row.row.id
        for row in rows
        if not row.is_truncated and row.num_trainable > 0 and not stop_ids & set(row.tokens.labels)
    ]
    if missing:
        return (
            f"{len(missing)} rows: no stop token counts in the loss, so the model would not learn to stop "
            f"({name_some(missing, _SHOWN)}); stop token ids: {sorted(stop_ids) or 'none known'}"
        )
    return None


def check_truncation(ratio: float, config: TrainingConfig) -> str | None:
    """Return a problem when too many rows would be cut."""
    if ratio > config.max_truncation_ratio:
        return (
            f"{ratio:.1%} of the rows are longer than max_length={config.max_length} tokens and would lose their end; "
            f"max_truncation_ratio={config.max_truncation_ratio:g} allows {config.max_truncation_ratio:.1%}"
        )
    return None


def check_positions(rows: Sequence[EncodedRow], num_positions: int | None) -> str | None:
    """Return a problem when rows end behind the model's last position."""
    beyond = [row.row.id for row in rows if num_positions is not None and len(row.tokens.input_ids) > num_positions]
    if beyond:
        return (
            f"{len(beyond)} rows have more tokens than the model's {num_positions} positions: set max_length to"
            f" {num_positions} at most ({name_some(beyond, _SHOWN)})"
        )
    return None


def check_memory(memory: MemoryEstimate, free: FreeMemory) -> str | None:
    """Return a problem when the workers would not fit into the free memory."""
    needed = memory.total * free.num_workers
    if needed > free.free_gib:
        where = "free on the GPU" if free.is_gpu else "free"
        return (
            f"memory: {free.num_workers} x {memory.total:.2f} GiB are needed ({memory.describe()}) and "
            f"{free.free_gib:.2f} GiB are {where}; lower batch_size or max_length, or use method=qlora"
        )
    return None


def estimate_largest_batch(
    rows: Sequence[EncodedRow], shape: ModelShape, config: TrainingConfig, free: FreeMemory
) -> MemoryEstimate:
    """Estimate memory for the batch of the longest rows, which a shuffled epoch may draw."""
    lengths = [len(row.tokens.input_ids) for row in rows]
    batch_tokens, counted_tokens = count_largest_batch(lengths, [row.num_trainable for row in rows], config)
    return estimate_memory(shape, config, batch_tokens, counted_tokens, is_gpu=free.is_gpu)


def count_largest_batch(lengths: Sequence[int], counted: Sequence[int], config: TrainingConfig) -> tuple[int, int]:
    """Return the tokens of the largest possible batch, padding included, and those of them that count in the loss.

    >>> config = TrainingConfig(learning_rate=1e-4, batch_size=2)
    >>> count_largest_batch([3, 5, 9], [1, 2, 4], config)
    (18, 6)
    """
    num_sequences = config.batch_size * config.sequences_per_row
    longest = sorted(lengths, reverse=True)[:num_sequences]
    batch_tokens = sum(longest) if config.is_packed else len(longest) * max(longest, default=0)
    return batch_tokens, sum(sorted(counted, reverse=True)[:num_sequences])
