"""Description of this machine: processor, memory, GPUs, and the number of threads for a stage.

In a container, its CPU quota and memory limit are used, from control groups of version 1 or 2.
"""

from __future__ import annotations

import functools
import os
import platform
import shutil
import subprocess
from pathlib import Path

from practicum_core.environment import Hardware
from practicum_core.errors import PlatformError, Reason

_CGROUP = Path("/sys/fs/cgroup")
_PROCESSORS = Path("/sys/devices/system/cpu")
_GPU_QUERY_TIMEOUT_S = 20


def get_cache_dir() -> Path:
    """Return the cache folder, which holds environments, models and data of all runs.

    It is ``$PRACTICUM_CACHE``, or else ``practicum`` in the user's cache folder.

    Raises:
        PlatformError: No environment variable sets it, and the user has no home directory.
    """
    explicit = os.environ.get("PRACTICUM_CACHE")
    if explicit:
        return Path(explicit).absolute()
    try:
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "practicum"
    except RuntimeError as error:
        raise PlatformError(
            Reason.PERMISSION_DENIED,
            "no folder for the cache: this user has no home",
            "set PRACTICUM_CACHE to a folder",
        ) from error


@functools.cache
def read_hardware() -> Hardware:
    """Describe this machine, within the limits of a container."""
    return Hardware(
        cpu=_read_cpu_name(),
        physical_cores=count_usable_cores(),
        logical_cores=os.cpu_count() or 1,
        memory_bytes=read_memory_limit(),
        gpus=list_gpus(),
    )


def count_usable_cores() -> int:
    """Count the physical cores that this process may use, given its CPU affinity and the quota of its container."""
    cores = [_count_physical_cores(), len(os.sched_getaffinity(0))]
    quota = _read_quota()
    return min([*cores, max(1, quota)] if quota is not None else cores)


def get_num_threads() -> int:
    """Return the number of threads for a stage: ``OMP_NUM_THREADS`` if it is set, else the usable cores."""
    explicit = os.environ.get("OMP_NUM_THREADS", "")
    return int(explicit) if explicit.isdigit() and int(explicit) > 0 else count_usable_cores()


def read_memory_limit() -> int:
    """Return the memory of the machine or its container in bytes."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limit = _read_first("memory.max", "memory/memory.limit_in_bytes")
    return total if limit is None else min(total, limit)


def read_unused_limit() -> int | None:
    """Return the bytes that the container may still allocate, including its page cache; ``None`` without a limit."""
    limit = _read_first("memory.max", "memory/memory.limit_in_bytes")
    used = _read_first("memory.current", "memory/memory.usage_in_bytes")
    return None if limit is None or used is None else limit - used + _read_cached()


@functools.cache
def list_gpus() -> list[str]:
    """List the NVIDIA GPUs as ``name, memory``; empty if there is no driver or if the GPUs are hidden."""
    return _query_gpus("--query-gpu=name,memory.total", "--format=csv,noheader")


def read_free_gpu_memory(num_gpus: int) -> int | None:
    """Return the smallest number of free bytes on the first ``num_gpus`` visible GPUs; ``None`` if unknown."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    chosen = [f"--id={visible}"] if visible else []
    lines = _query_gpus("--query-gpu=memory.free", "--format=csv,noheader,nounits", *chosen)
    mebibytes = [int(line) for line in lines[:num_gpus] if line.isdigit()]
    return min(mebibytes) << 20 if mebibytes else None


def read_gpu_utilization() -> float | None:
    """Return the share of the last moments in which the first visible GPU computed; ``None`` if unknown."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    chosen = [f"--id={visible}"] if visible else []
    lines = _query_gpus("--query-gpu=utilization.gpu", "--format=csv,noheader,nounits", *chosen)
    return int(lines[0]) / 100 if lines and lines[0].isdigit() else None


def _query_gpus(*options: str) -> list[str]:
    program = shutil.which("nvidia-smi")
    if program is None or os.environ.get("CUDA_VISIBLE_DEVICES") == "":
        return []
    command = [program, *options]
    try:
        result = subprocess.run(command, capture_output=True, text=True, timeout=_GPU_QUERY_TIMEOUT_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return []
    return [line.strip() for line in result.stdout.splitlines() if line.strip()] if result.returncode == 0 else []


def _count_physical_cores() -> int:
    """Count sets of logical processors that share a core (kernel: cputopology, core_cpus_list)."""
    lists = _PROCESSORS.glob("cpu[0-9]*/topology/core_cpus_list")
    return len({" ".join(_read_words(path)) for path in lists}) or os.cpu_count() or 1


def _read_quota() -> int | None:
    words = _read_words(_CGROUP / "cpu.max")  # "QUOTA PERIOD" or "max PERIOD" (kernel: cgroup-v2)
    if not words:
        words = [*_read_words(_CGROUP / "cpu/cpu.cfs_quota_us"), *_read_words(_CGROUP / "cpu/cpu.cfs_period_us")]
    if len(words) == 2 and words[0].isdigit():  # noqa: PLR2004 - quota and period
        return int(words[0]) // int(words[1])
    return None


def _read_first(*names: str) -> int | None:
    found = (_read_words(_CGROUP / name) for name in names)
    words = next((words for words in found if words), [])
    return int(words[0]) if words and words[0].isdigit() else None


def _read_cached() -> int:
    for name in ("memory.stat", "memory/memory.stat"):
        words = _read_words(_CGROUP / name)
        for at, word in enumerate(words[:-1]):
            if word in ("inactive_file", "total_inactive_file"):
                return int(words[at + 1])
    return 0


def _read_cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine())


def _read_words(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").split()
    except OSError:
        return []
