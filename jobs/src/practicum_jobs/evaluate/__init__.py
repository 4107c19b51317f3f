"""The stage ``evaluate``: scores one model on a split of the data, or compares two models row by row."""

from practicum_jobs.evaluate.stage import run

__all__ = ["run"]
