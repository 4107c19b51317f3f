"""The stage ``snapshot``: freezes the splits of a data set under their hashes and checks them for leakage."""

from __future__ import annotations

from practicum_jobs.snapshot.stage import run

__all__ = ["run"]
