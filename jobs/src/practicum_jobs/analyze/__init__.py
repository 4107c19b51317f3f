"""The stage ``analyze``: why answers failed, what tuning fixed and broke, and which training rows are nearest."""

from practicum_jobs.analyze.stage import run

__all__ = ["run"]
