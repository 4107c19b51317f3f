"""The memory that an engine will need, compared with what is free before anything is loaded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from practicum_core.errors import ConfigError, Reason
from practicum_core.machine import list_gpus, read_unused_limit
from practicum_core.stages.serve import ServeConfig
from practicum_jobs.adapters.vllm_server import count_lora_places
from practicum_jobs.models.weights import count_parameters
from practicum_jobs.serve.adapters import ServedAdapter, choose_rank

GIB = 1 << 30
PROCESSES_GIB = 2.5
"""What vLLM's three processes occupy without weights and KV cache: server, scheduler and worker, each with torch.

Measured with vLLM 0.32: 0.8, 0.7 and 0.9."""
_BYTES = {"float32": 4}


@dataclass(frozen=True)
class ServingMemory:
    """Memory of one engine in GiB, by what takes it."""

    weights_gib: float
    kv_cache_gib: float
    processes_gib: float = PROCESSES_GIB
    adapters_gib: float = 0.0

    @property
    def total_gib(self) -> float:
        """All of it."""
        return self.weights_gib + self.kv_cache_gib + self.processes_gib + self.adapters_gib

    def check(self, free_gib: float, uri: str) -> None:
        """Refuse a model that does not fit.

        Raises:
            ConfigError: It does not fit (``PreflightFailed``, which is not tried again).

        >>> ServingMemory(0.3, 1.0).check(4.0, "builtin:smollm2-135m")
        """
        if self.total_gib <= free_gib:
            return
        adapters = f"adapters {self.adapters_gib:.1f}, " if self.adapters_gib else ""
        raise ConfigError(
            f"{uri} needs about {self.total_gib:.1f} GiB (weights {self.weights_gib:.1f}, KV cache "
            f"{self.kv_cache_gib:.1f}, {adapters}processes {self.processes_gib:.1f}); {free_gib:.1f} GiB are free",
            "lower serve.kv_cache_gib, choose a smaller or quantized model, or stop other work",
            Reason.PREFLIGHT_FAILED,
        )


def estimate_memory(folder: Path, config: ServeConfig, adapters: Sequence[ServedAdapter] = ()) -> ServingMemory:
    """Estimate from the weights' files and the options.

    Weights that are stored wider than they are computed in are narrowed while they are loaded; quantized ones stay as
    they are stored. vLLM keeps every adapter, and sets memory aside for those of one batch, all of the same rank.

    Raises:
        ConfigError: A file of weights is cut off.
    """
    files = sorted(folder.glob("*.safetensors"))
    stored = sum(file.stat().st_size for file in files)
    computed = sum(count_parameters(file) for file in files) * _BYTES.get(config.dtype, 2)
    return ServingMemory(
        min(stored, computed) / GIB, config.kv_cache_gib, adapters_gib=_estimate_adapters(adapters, config) / GIB
    )


def _estimate_adapters(adapters: Sequence[ServedAdapter], config: ServeConfig) -> float:
    """Return the bytes of the adapters themselves and of their places in a batch."""
    if not adapters:
        return 0.0
    kept = sum(adapter.num_parameters for adapter in adapters)
    widest = max(adapter.num_parameters * choose_rank(adapters) / adapter.rank for adapter in adapters)
    return (kept + widest * count_lora_places(config, len(adapters))) * _BYTES.get(config.dtype, 2)


def check_memory(needed: ServingMemory, uri: str) -> None:
    """Refuse a model that does not fit into the memory of this machine; on a GPU, the engine measures for itself.

    Raises:
        ConfigError: It does not fit (``PreflightFailed``).
    """
    if list_gpus():
        return
    unused = read_unused_limit()
    free = psutil.virtual_memory().available
    needed.check((min(free, unused) if unused is not None else free) / GIB, uri)
