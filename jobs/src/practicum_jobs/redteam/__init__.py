"""The stage ``redteam``: a probe pack in English and Chinese, a guardrail, bias pairs and a compliance checklist."""

from practicum_jobs.redteam.stage import run

__all__ = ["run"]
