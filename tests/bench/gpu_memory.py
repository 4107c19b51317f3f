"""The memory that a finished training process took, on its GPU where it has one."""

from __future__ import annotations

import resource

import torch

GIB = 2**30


def read_peaks() -> dict[str, float]:
    """Return GiB: the process's peak, and on a GPU the peaks of tensors and of torch's pool, and CUDA's own part."""
    peaks = {"rss": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20}
    if torch.cuda.is_available():
        free, total = torch.cuda.mem_get_info()
        peaks["allocated"] = torch.cuda.max_memory_allocated() / GIB
        peaks["reserved"] = torch.cuda.max_memory_reserved() / GIB
        peaks["context"] = (total - free - torch.cuda.memory_reserved()) / GIB
    return peaks
