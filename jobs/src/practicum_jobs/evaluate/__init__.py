"""The stage ``evaluate``: one model on a split of the data, or two paired row by row."""

from practicum_jobs.evaluate.stage import run

__all__ = ["run"]
