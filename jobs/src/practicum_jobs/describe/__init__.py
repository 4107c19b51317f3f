"""The stage ``describe``."""

from practicum_jobs.describe.stage import run

__all__ = ["run"]
