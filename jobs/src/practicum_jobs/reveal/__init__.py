"""The stage ``reveal``: checks and opens the key of a blind test, and says what the raters preferred."""

from practicum_jobs.reveal.stage import run

__all__ = ["run"]
