"""Restarts in a used folder: a run with the same inputs resumes, a run with other inputs starts from nothing."""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
from pathlib import Path

from practicum_core.atomic import write_text_atomic
from practicum_core.content_hash import hash_path
from practicum_jobs.adapters.training_job import TrainingJob

_RESULTS = ("metrics", "samples")


def prepare_attempt(job: TrainingJob) -> None:
    """Remove the unfinished files of an earlier attempt, and all its files when its inputs were different."""
    layout = job.open_context().layout
    file = layout.root / "checkpoints" / "inputs.sha256"
    key = hash_inputs(job)
    if not file.is_file() or file.read_text(encoding="utf-8") != key:
        shutil.rmtree(file.parent, ignore_errors=True)
        for name in _RESULTS:
            getattr(layout, name).unlink(missing_ok=True)
        with contextlib.suppress(FileNotFoundError):
            (job.work_dir / "failures.jsonl").unlink()
        write_text_atomic(file, key)
    shutil.rmtree(job.work_dir / "scratch", ignore_errors=True)
    for request in (job.stop_file, job.stop_step_file):
        request.unlink(missing_ok=True)


def hash_inputs(job: TrainingJob) -> str:
    """Return the SHA-256 of everything that the weights depend on: configuration, tokens, steps, model folder."""
    rows = [hash_path(job.work_dir / f"{split}.npz") for split in ("train", "validation")]
    config = job.config.model_dump(mode="json")
    text = json.dumps([config, rows, job.num_steps, str(job.model_dir), _stamp(job.model_dir)], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _stamp(folder: Path) -> list[list[str | int]]:
    """Return name and size of every weight file; the step ``model`` hashes their content."""
    return [[file.name, file.stat().st_size] for file in sorted(folder.glob("*.safetensors"))]
