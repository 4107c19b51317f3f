"""The stage ``snapshot``: freezes the data by content and looks for leakage."""

from __future__ import annotations

from practicum_jobs.snapshot.stage import run

__all__ = ["run"]
