"""The stage ``iterate``: training rows and preference pairs from the failures of an evaluation."""

from practicum_jobs.iterate.stage import run

__all__ = ["run"]
