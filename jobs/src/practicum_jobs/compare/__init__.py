"""The stage ``compare``: a verdict on two models from their answers to the same items."""

from practicum_jobs.compare.stage import run

__all__ = ["run"]
