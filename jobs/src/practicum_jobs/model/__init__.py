"""The stage ``model``: brings the base model to this machine and locks it by content."""

from practicum_jobs.model.stage import run

__all__ = ["run"]
