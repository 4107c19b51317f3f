"""The stage ``serve``: vLLM answers OpenAI's HTTP API with one model."""

from practicum_jobs.serve.stage import run

__all__ = ["run"]
