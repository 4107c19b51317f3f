"""How many requests llama.cpp computes at the same time, by the memory that keys and values may take."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from practicum_core.errors import ConfigError, Reason
from practicum_core.stages.serve import ServeConfig
from practicum_jobs.models.gguf_files import GgufFacts
from practicum_jobs.serve.memory import GIB, ServingMemory

LLAMA_GIB = 0.5
"""What its process occupies without weights and KV cache: Python, and buffers of computation."""


@dataclass(frozen=True)
class Slots:
    """Places for requests in llama.cpp, each with a part of the KV cache of its own.

    Attributes:
        context_tokens: Tokens of a prompt with its answer.
        number: Requests at the same time.
        kv_bytes: Memory of all places.
    """

    context_tokens: int
    number: int
    kv_bytes: int

    def estimate_memory(self, file: Path) -> ServingMemory:
        """Estimate the memory of the whole engine."""
        return ServingMemory(file.stat().st_size / GIB, self.kv_bytes / GIB, LLAMA_GIB)


def plan_slots(facts: GgufFacts, config: ServeConfig) -> Slots:
    """Divide the KV cache into places for the longest requests, not more than max_num_seqs.

    Raises:
        ConfigError: Not even one longest request fits into kv_cache_gib (``PreflightFailed``), or the model was made
            for shorter ones.

    >>> plan_slots(GgufFacts(8192, 23_040, "Q8_0", True), ServeConfig()).number
    5
    """
    length = config.max_model_len or facts.context_tokens
    if length > facts.context_tokens:
        raise ConfigError(
            f"{config.model}: made for {facts.context_tokens:,} tokens, and serve.max_model_len is {length:,}",
            f"set serve.max_model_len to {facts.context_tokens} at most",
        )
    fitting = int(config.kv_cache_gib * GIB) // (facts.kv_bytes_per_token * length)
    if fitting < 1:
        needed = facts.kv_bytes_per_token * length / GIB
        raise ConfigError(
            f"{config.model}: keys and values of one request of {length:,} tokens take {needed:.2f} GiB, and"
            f" serve.kv_cache_gib is {config.kv_cache_gib:g}",
            "raise serve.kv_cache_gib, or lower serve.max_model_len",
            Reason.PREFLIGHT_FAILED,
        )
    number = min(fitting, config.max_num_seqs)
    return Slots(length, number, number * length * facts.kv_bytes_per_token)
