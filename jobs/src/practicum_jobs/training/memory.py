"""The memory that training will need, estimated from the model's configuration and the rows. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from practicum_core.stages.training import TrainingConfig
from practicum_jobs.adapters.training_job import has_float32_weights, is_sharded

GIB = 2**30
PROCESS_GIB = 1.0
"""What a worker occupies before a model is loaded: interpreter, torch, transformers, Ray. Measured: 0.8 to 1.0."""
NF4_BYTES = 0.53
"""Bytes per 4-bit weight with its double-quantized scale per block of 64 (Dettmers et al., 2023, section 3)."""

OPTIMIZER_BYTES = {"adamw": 8.0, "adamw_8bit": 2.04, "adafactor": 0.1}
"""Bytes per trained weight. Two numbers of four bytes (Loshchilov and Hutter, 2019); of one byte, with a scale per
block of 256 (Dettmers et al., 2022); one number per row and column of a matrix (Shazeer and Stern, 2018)."""
LOGITS_TILE = (4096, 32768)
"""Tokens and vocabulary entries whose logits exist at a time on a GPU (TRL 1.16, ``kernels/chunked_logprob.py``)."""


@dataclass(frozen=True)
class ModelShape:
    """The model's sizes that memory depends on.

    Attributes:
        num_parameters: Weights in total.
        hidden: Width of the residual stream.
        intermediate: Width inside the feed-forward blocks.
        layers: Number of blocks.
        heads: Attention heads.
        vocab: Entries of the vocabulary.
    """

    num_parameters: int
    hidden: int
    intermediate: int
    layers: int
    heads: int
    vocab: int


@dataclass(frozen=True)
class FreeMemory:
    """Memory that training may take.

    Attributes:
        free_gib: Free memory of the machine, the pod or the GPU.
        num_workers: Workers that share it.
        is_gpu: It is the memory of a GPU.
    """

    free_gib: float
    num_workers: int = 1
    is_gpu: bool = False


@dataclass(frozen=True)
class MemoryEstimate:
    """Memory of one worker in GiB, by what takes it."""

    process: float
    weights: float
    gradients: float
    optimizer: float
    activations: float
    logits: float

    @property
    def total(self) -> float:
        """GiB of one worker."""
        return self.process + self.weights + self.gradients + self.optimizer + self.activations + self.logits

    def describe(self) -> str:
        """Return one line that names every part."""
        return (
            f"weights {self.weights:.2f} + gradients {self.gradients:.2f} + optimizer {self.optimizer:.2f} + "
            f"activations {self.activations:.2f} + logits {self.logits:.2f} + process {self.process:.2f} GiB"
        )


def read_model_shape(config: Mapping[str, Any], num_parameters: int) -> ModelShape:
    """Read the sizes from a model's ``config.json``, by the names that families of models give them.

    >>> read_model_shape({"n_embd": 8, "n_layer": 2, "n_head": 4, "n_inner": None, "vocab_size": 10}, 99)
    ModelShape(num_parameters=99, hidden=8, intermediate=32, layers=2, heads=4, vocab=10)
    """
    hidden = _read_size(config, ("hidden_size", "n_embd", "d_model"), 0)
    return ModelShape(
        num_parameters=num_parameters,
        hidden=hidden,
        intermediate=_read_size(config, ("intermediate_size", "n_inner", "ffn_dim", "ffn_hidden_size"), 4 * hidden),
        layers=_read_size(config, ("num_hidden_layers", "n_layer", "num_layers", "n_layers"), 0),
        heads=_read_size(config, ("num_attention_heads", "n_head", "num_heads", "n_heads"), 1),
        vocab=_read_size(config, ("vocab_size",), 0),
    )


def _read_size(config: Mapping[str, Any], names: Sequence[str], default: int) -> int:
    return next((config[name] for name in names if isinstance(config.get(name), int)), default)


def count_adapter_parameters(shape: ModelShape, rank: int) -> int:
    """Return the numbers of a LoRA adapter on every linear layer of a block, square attention assumed.

    >>> count_adapter_parameters(ModelShape(0, 10, 20, 1, 1, 0), rank=2)
    340
    """
    attention = 4 * (shape.hidden + shape.hidden)
    feed_forward = 3 * (shape.hidden + shape.intermediate)
    return shape.layers * rank * (attention + feed_forward)


def estimate_memory(
    shape: ModelShape, config: TrainingConfig, batch_tokens: int, counted_tokens: int, *, is_gpu: bool = False
) -> MemoryEstimate:
    """Estimate the memory of one worker at its largest batch.

    Args:
        shape: The model's sizes.
        config: Method, batch, type.
        batch_tokens: Rows in the batch times tokens of its longest row.
        counted_tokens: Tokens of that batch that count in the loss. Only they get logits; on a GPU a tile at a time.
        is_gpu: Whether it computes on a GPU, where numbers have two bytes unless four are asked for.
    """
    width = 2 if config.dtype == "bfloat16" or (config.dtype == "auto" and is_gpu) else 4
    num_shards = config.num_workers if is_sharded(config) else 1
    trainable = shape.num_parameters if config.method == "full" else count_adapter_parameters(shape, config.lora_r)
    embeddings = shape.vocab * shape.hidden
    if config.method == "qlora":
        weights = NF4_BYTES * max(shape.num_parameters - embeddings, 0) + width * embeddings
    else:
        weights = (4 if has_float32_weights(config) else width) * shape.num_parameters
    per_token = shape.layers * (10 * shape.hidden + 5 * shape.intermediate) * width
    if config.gradient_checkpointing:
        per_token = shape.layers * shape.hidden * width + per_token // max(shape.layers, 1)
    if is_gpu:
        logits = 3 * width * min(counted_tokens, LOGITS_TILE[0]) * min(shape.vocab, LOGITS_TILE[1])
    else:
        logits = 3 * 4 * shape.vocab * counted_tokens
    return MemoryEstimate(
        process=PROCESS_GIB,
        weights=weights / num_shards / GIB,
        gradients=trainable * (4 if has_float32_weights(config) else width) / num_shards / GIB,
        optimizer=trainable * OPTIMIZER_BYTES[config.optimizer] / num_shards / GIB,
        activations=per_token * batch_tokens / GIB,
        logits=logits / GIB,
    )
