"""The evidence pack of a unit: one page that a person opens and one file that a machine reads, from records alone."""

from practicum_jobs.report.stage import run

__all__ = ["run"]
