"""The stage ``judge``: asks a judge which of two models' answers are better, and checks the judge itself."""

from practicum_jobs.judge.stage import run

__all__ = ["run"]
