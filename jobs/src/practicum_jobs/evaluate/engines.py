"""The engine that an evaluation asks for. Its library is imported here, because each is in one environment only."""

from __future__ import annotations

import os

from practicum_core.errors import ConfigError
from practicum_core.stage_process import find_server_key
from practicum_core.stages.evaluate import EvaluateConfig
from practicum_jobs.adapters.answer_engine import AnswerEngine
from practicum_jobs.evaluate.models import EvaluatedModel
from practicum_jobs.models.stop_tokens import read_stop_ids
from practicum_jobs.models.tokens import ChatTokenizer
from practicum_jobs.training.facts import count_threads

_REQUEST_TIMEOUT_S = 600.0


def build_engine(model: EvaluatedModel, tokenizer: ChatTokenizer, role: str, config: EvaluateConfig) -> AnswerEngine:
    """Return the engine for a model; it is not loaded yet.

    Args:
        model: The model.
        tokenizer: Of the model; it decodes answers that an engine gives as token ids.
        role: ``base`` or ``candidate``; they may lie at different addresses.
        config: Engine and sampling.

    Raises:
        ConfigError: The engine cannot load what this model is.
        PlatformError: A server does not answer.
    """
    if config.engine == "openai":
        return _build_server_engine(role, config)
    if config.engine == "transformers":
        _refuse_file(model, "transformers")
        from practicum_jobs.adapters.answers_transformers import TransformersAnswers  # noqa: PLC0415 - see above

        return TransformersAnswers(
            model.path, model.adapter, config.max_new_tokens, config.batch_size, config.dtype, count_threads(1)
        )
    from practicum_jobs.adapters.answers_local import LlamaAnswers, LocalModel, VllmAnswers  # noqa: PLC0415 - as above

    if model.adapter is not None:
        raise ConfigError(
            f"{model.uri}: an adapter, which engine {config.engine} does not load",
            "merge it, or evaluate it with engine transformers",
        )
    local = LocalModel(
        path=model.path,
        stop_ids=read_stop_ids(model.tokenizer, tokenizer),
        decode=tokenizer.decode,
        max_new_tokens=config.max_new_tokens,
        concurrency=config.batch_size,
        num_threads=count_threads(1),
        dtype=config.dtype,
    )
    if config.engine == "vllm":
        _refuse_file(model, "vllm")
        return VllmAnswers(local)
    if not model.path.is_file():
        raise ConfigError(f"{model.uri}: no GGUF file, which engine llama_cpp needs", "make one: practicum run week-06")
    return LlamaAnswers(local)


def _refuse_file(model: EvaluatedModel, engine: str) -> None:
    if model.path.is_file():
        raise ConfigError(f"{model.uri}: a GGUF file, which engine {engine} does not load", "use engine llama_cpp")


def _build_server_engine(role: str, config: EvaluateConfig) -> AnswerEngine:
    from practicum_jobs.adapters.answers_server import ServedModel, ServerAnswers  # noqa: PLC0415 - see above

    is_candidate = role == "candidate"
    key = os.environ.get(config.api_key_env, "") if config.api_key_env else ""
    if config.api_key_env and not key:
        raise ConfigError(
            f"the environment variable {config.api_key_env} holds no key", "set it before the run, and never in a file"
        )
    url = (config.candidate_url if is_candidate else None) or config.base_url or ""
    return ServerAnswers(
        ServedModel(
            url=url,
            name=(config.candidate_served_model if is_candidate else config.served_model) or "",
            api_key=key or find_server_key(url, os.environ),
            max_new_tokens=config.max_new_tokens,
            concurrency=config.batch_size,
            timeout_s=_REQUEST_TIMEOUT_S,
        )
    )
