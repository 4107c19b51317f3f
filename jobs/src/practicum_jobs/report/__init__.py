"""The evidence pack of a unit: an HTML page for people and a JSON file for machines, built from records only."""

from practicum_jobs.report.stage import run

__all__ = ["run"]
