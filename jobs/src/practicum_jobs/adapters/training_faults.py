"""Decides what a fault raised inside torch, TRL or Ray means for a person: memory, disk, or a fault of the stage."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from practicum_core.atomic import explain_os_errors
from practicum_core.errors import PlatformError, Reason

_MEMORY = ("can't allocate memory", "out of memory", "cannot allocate memory", "std::bad_alloc")
_DISK = ("no space left on device", "pytorchstreamwriter failed writing", "quota exceeded")


@contextlib.contextmanager
def explain_training_faults(folder: Path) -> Iterator[None]:
    """Turn faults of memory and disk into errors with a reason and a fix; let every other one pass.

    Args:
        folder: Where the stage writes, for the message.
    """
    with explain_os_errors(folder):
        try:
            yield
        except (RuntimeError, ValueError) as error:  # safetensors and torch raise these for a full disk and memory
            reason = classify_fault(str(error))
            if reason is None:
                raise
            raise build_platform_error(reason, str(error), folder) from error


def classify_fault(text: str) -> Reason | None:
    """Return the reason that an exception's text names, if it is one of memory or disk.

    >>> classify_fault("DefaultCPUAllocator: can't allocate memory: you tried to allocate 99 bytes")
    <Reason.OUT_OF_MEMORY: 'OutOfMemory'>
    >>> classify_fault("shapes do not match") is None
    True
    """
    lowered = text.lower()
    if any(words in lowered for words in _MEMORY):
        return Reason.OUT_OF_MEMORY
    if any(words in lowered for words in _DISK):
        return Reason.DISK_FULL
    return None


def build_platform_error(reason: Reason, text: str, folder: Path) -> PlatformError:
    """Return the error that a person sees for a fault of memory or disk."""
    first = next((line.strip() for line in text.splitlines() if line.strip()), "")[:200]
    if reason is Reason.DISK_FULL:
        return PlatformError(reason, f"{folder}: no space left on the disk ({first})", "free some space and resume")
    return PlatformError(
        reason, f"training ran out of memory ({first})", "lower sft.batch_size or sft.max_length, or use method=qlora"
    )
