"""Supervised fine-tuning."""

from practicum_jobs.sft.stage import run

__all__ = ["run"]
