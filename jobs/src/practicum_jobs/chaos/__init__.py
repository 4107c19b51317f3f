"""The stage ``chaos``."""

from practicum_jobs.chaos.stage import run

__all__ = ["run"]
