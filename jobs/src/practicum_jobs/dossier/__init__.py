"""The stage ``dossier``: from a failure to its cause, its fix and a regression test."""

from practicum_jobs.dossier.stage import run

__all__ = ["run"]
