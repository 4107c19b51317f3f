"""The stage ``traces``."""

from practicum_jobs.traces.stage import run

__all__ = ["run"]
