"""The memory that an engine will need, compared with what is free before anything is loaded."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import psutil

from practicum_core.errors import ConfigError, Reason
from practicum_core.machine import list_gpus, read_unused_limit
from practicum_core.stages.serve import ServeConfig
from practicum_jobs.models.weights import count_parameters

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

    @property
    def total_gib(self) -> float:
        """All of it."""
        return self.weights_gib + self.kv_cache_gib + self.processes_gib

    def check(self, free_gib: float, uri: str) -> None:
        """Refuse a model that does not fit.

        Raises:
            ConfigError: It does not fit (``PreflightFailed``, which is not tried again).

        >>> ServingMemory(0.3, 1.0).check(4.0, "builtin:smollm2-135m")
        """
        if self.total_gib <= free_gib:
            return
        raise ConfigError(
            f"{uri} needs about {self.total_gib:.1f} GiB (weights {self.weights_gib:.1f}, KV cache "
            f"{self.kv_cache_gib:.1f}, processes {self.processes_gib:.1f}); {free_gib:.1f} GiB are free",
            "lower serve.kv_cache_gib, choose a smaller or quantized model, or stop other work",
            Reason.PREFLIGHT_FAILED,
        )


def estimate_memory(folder: Path, config: ServeConfig) -> ServingMemory:
    """Estimate from the weights' files and the options.

    Weights that are stored wider than they are computed in are narrowed while they are loaded; quantized ones stay as
    they are stored.

    Raises:
        ConfigError: A file of weights is cut off.
    """
    files = sorted(folder.glob("*.safetensors"))
    stored = sum(file.stat().st_size for file in files)
    computed = sum(count_parameters(file) for file in files) * _BYTES.get(config.dtype, 2)
    return ServingMemory(min(stored, computed) / GIB, config.kv_cache_gib)


def check_memory(folder: Path, config: ServeConfig) -> None:
    """Refuse a model that does not fit into the memory of this machine; on a GPU, vLLM measures for itself.

    Raises:
        ConfigError: It does not fit (``PreflightFailed``).
    """
    if list_gpus():
        return
    unused = read_unused_limit()
    free = psutil.virtual_memory().available
    estimate_memory(folder, config).check(min(free, unused) / GIB if unused is not None else free / GIB, config.model)
