"""Direct preference optimization."""

from practicum_jobs.dpo.stage import run

__all__ = ["run"]
