"""The stage ``capstone``: the weeks of a course as one chain of evidence, and the documents of its defence."""

from practicum_jobs.capstone.stage import run

__all__ = ["run"]
