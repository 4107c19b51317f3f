"""Decides what this machine is: processor, memory, GPUs, and how many threads a stage computes with."""

from __future__ import annotations

import functools
import os
import platform
import shutil
import subprocess
from pathlib import Path

import psutil

from practicum_core.environment import Hardware

_QUOTA = Path("/sys/fs/cgroup/cpu.max")
_MEMORY_LIMIT = Path("/sys/fs/cgroup/memory.max")
_GPU_QUERY_TIMEOUT_S = 20


@functools.cache
def read_hardware() -> Hardware:
    """Describe this machine within the limits of its container."""
    return Hardware(
        cpu=_read_cpu_name(),
        physical_cores=count_usable_cores(),
        logical_cores=os.cpu_count() or 1,
        memory_bytes=read_memory_limit(),
        gpus=list_gpus(),
    )


def count_usable_cores() -> int:
    """Count the physical cores that this process may use: affinity and the container's quota respected."""
    cores = [psutil.cpu_count(logical=False) or os.cpu_count() or 1, len(os.sched_getaffinity(0))]
    quota = _read_words(_QUOTA)
    if len(quota) == 2 and quota[0].isdigit():  # noqa: PLR2004 - "QUOTA PERIOD" (kernel: cgroup-v2, cpu.max)
        cores.append(max(1, int(quota[0]) // int(quota[1])))
    return min(cores)


def get_num_threads() -> int:
    """Return how many threads a stage computes with: ``OMP_NUM_THREADS`` where it is set, else the usable cores."""
    explicit = os.environ.get("OMP_NUM_THREADS", "")
    return int(explicit) if explicit.isdigit() and int(explicit) > 0 else count_usable_cores()


def read_memory_limit() -> int:
    """Return the bytes of memory that the machine or its container has."""
    total = int(psutil.virtual_memory().total)
    limit = _read_words(_MEMORY_LIMIT)
    return min(total, int(limit[0])) if limit and limit[0].isdigit() else total


@functools.cache
def list_gpus() -> list[str]:
    """List the NVIDIA GPUs as ``name, memory``; empty without a driver or where they are hidden."""
    program = shutil.which("nvidia-smi")
    if program is None or os.environ.get("CUDA_VISIBLE_DEVICES") == "":
        return []
    command = [program, "--query-gpu=name,memory.total", "--format=csv,noheader"]
    try:
        result = subprocess.run(command, capture_output=True, text=True, timeout=_GPU_QUERY_TIMEOUT_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return []
    return [line.strip() for line in result.stdout.splitlines() if line.strip()] if result.returncode == 0 else []


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
