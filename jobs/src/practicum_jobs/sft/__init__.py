"""Supervised fine-tuning: checks before it, detectors around it, and the record after it."""

from practicum_jobs.sft.stage import run

__all__ = ["run"]
