"""The stage ``rungcheck``."""

from practicum_jobs.rungcheck.stage import run

__all__ = ["run"]
