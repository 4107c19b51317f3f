"""A trainer whose batches take half a second and more each to make."""

from __future__ import annotations

import time

from practicum_jobs.adapters import completion_trainer
from practicum_jobs.adapters.training_interfaces import TrainerLink
from practicum_jobs.adapters.training_job import TrainingJob

DELAY_S = 0.6


def build_trainer(job: TrainingJob, link: TrainerLink) -> completion_trainer.CompletionTrainer:
    """Build the usual trainer with a slow collator."""
    trainer = completion_trainer.build_trainer(job, link)
    collate = trainer.data_collator

    def collate_slowly(rows: list[dict[str, list[int]]]) -> dict[str, object]:
        time.sleep(DELAY_S)
        batch: dict[str, object] = collate(rows)
        return batch

    trainer.data_collator = collate_slowly
    return trainer
