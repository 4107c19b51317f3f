"""The stage ``faultproxy``."""

from practicum_jobs.faultproxy.stage import run

__all__ = ["run"]
