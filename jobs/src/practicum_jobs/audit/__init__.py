"""The stage ``audit``: what is wrong with a data set, row by row, and a clean copy of it."""

from practicum_jobs.audit.stage import run

__all__ = ["run"]
