"""The stage ``inference``: the exported files, loaded in a fresh process, answer held-out prompts."""

from practicum_jobs.inference.stage import run

__all__ = ["run"]
