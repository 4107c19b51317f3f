"""The stage ``blind``: pairs of answers for raters who do not know which model gave which, and the sealed key."""

from practicum_jobs.blind.stage import run

__all__ = ["run"]
