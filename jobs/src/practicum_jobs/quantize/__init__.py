"""The stage ``quantize``: makes smaller files of one model in several formats."""

from practicum_jobs.quantize.stage import run

__all__ = ["run"]
