"""Errors raised inside torch, TRL or Ray, explained to a person: memory, disk, lost workers."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from practicum_core.atomic import explain_os_errors
from practicum_core.errors import ConfigError, PlatformError, PracticumError, Reason
from practicum_jobs.adapters.training_job import TrainingJob, UntrainableError, WorkersFailedError, get_last_line

_MEMORY = ("can't allocate memory", "out of memory", "cannot allocate memory", "std::bad_alloc")
_DISK = ("no space left on device", "pytorchstreamwriter failed writing", "quota exceeded")


@contextlib.contextmanager
def explain_training_faults(job: TrainingJob) -> Iterator[None]:
    """Turn failures of memory, disk and workers into errors with a reason and a fix; let every other error pass.

    Raises:
        ConfigError: The libraries refuse the model or the options.
        PlatformError: Memory or disk ran out, or workers failed too often.
    """
    with explain_os_errors(job.open_context().layout.root):
        try:
            yield
        except WorkersFailedError as error:
            raise explain_failed_workers(error, job) from error
        except UntrainableError as error:
            raise explain_untrainable(str(error), job) from error
        except (RuntimeError, ValueError) as error:  # safetensors and torch raise these for a full disk and memory
            reason = classify_fault(str(error))
            if reason is None:
                raise
            raise build_platform_error(reason, str(error), job) from error


def explain_untrainable(text: str, job: TrainingJob) -> PracticumError:
    """Return the error of a model or of options with which the libraries cannot train."""
    reason = classify_fault(text)
    if reason is not None:
        return build_platform_error(reason, text, job)
    return ConfigError(
        f"{job.config.model}: this model cannot be trained with these options, method={job.config.method} among them"
        f" ({text})",
        f"choose another model, or other options of {job.step}; the step's log.txt has the libraries' whole message",
        Reason.PREFLIGHT_FAILED,
    )


def explain_failed_workers(error: WorkersFailedError, job: TrainingJob) -> PracticumError:
    """Return the error that a person sees: memory or disk where a worker named one, else what each worker said."""
    for cause in error.causes.values():
        reason = classify_fault(cause)
        if reason is not None:
            return build_platform_error(reason, get_last_line(cause), job)
        _, mark, text = get_last_line(cause).partition(f"{UntrainableError.__name__}: ")
        if mark:
            return explain_untrainable(text, job)
    text = "; ".join(f"worker {rank}: {get_last_line(cause)}" for rank, cause in sorted(error.causes.items()))
    return PlatformError(
        Reason.WORKER_LOST,
        f"training failed after {job.config.max_failures} replacements: {text or error}",
        f"see the step's log.txt; a worker killed for memory needs a smaller {job.step}.batch_size or "
        f"{job.step}.max_length",
    )


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


def build_platform_error(reason: Reason, text: str, job: TrainingJob) -> PlatformError:
    """Return the error that a person sees when memory or disk ran out."""
    first = next((line.strip() for line in text.splitlines() if line.strip()), "")[:200]
    if reason is Reason.DISK_FULL:
        folder = job.open_context().layout.root
        return PlatformError(reason, f"{folder}: no space left on the disk ({first})", "free some space and resume")
    return PlatformError(
        reason,
        f"training ran out of memory ({first})",
        f"lower {job.step}.batch_size or {job.step}.max_length, or use method=qlora",
    )
