"""The stage ``replayeval``: recorded traffic asked of two served models, and scored."""

from practicum_jobs.replayeval.stage import run

__all__ = ["run"]
