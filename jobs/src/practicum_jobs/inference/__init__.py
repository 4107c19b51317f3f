"""The stage ``inference``: loads the exported files in a new process and answers held-out prompts."""

from practicum_jobs.inference.stage import run

__all__ = ["run"]
