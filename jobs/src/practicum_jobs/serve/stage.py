"""A model in an engine's server: checked before it is loaded, ready after a real answer, stopped when asked."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from practicum_core.errors import ConfigError, Reason
from practicum_core.metrics import Metric
from practicum_core.stage_process import HOST_VARIABLE, PORT_VARIABLE, SERVER_KEY_VARIABLE
from practicum_core.stages.serve import ServeConfig, ServeRecord
from practicum_core.trace_names import TRACE_FILE
from practicum_jobs.adapters import llama_server, vllm_server
from practicum_jobs.adapters.engine_server import Served, ServerSettings, require_free_port
from practicum_jobs.adapters.trace_receiver import receive_traces
from practicum_jobs.context import StageContext
from practicum_jobs.models.gguf_files import find_gguf, read_facts
from practicum_jobs.models.sources import ensure_model
from practicum_jobs.serve.adapters import ServedAdapter, choose_rank, ensure_adapters
from practicum_jobs.serve.memory import check_memory, estimate_memory
from practicum_jobs.serve.names import list_served_names
from practicum_jobs.serve.preflight import check_head_size, check_template
from practicum_jobs.serve.slots import plan_slots
from practicum_jobs.training.facts import count_threads

LLAMA_CPP, VLLM = "llama_cpp", "vllm"


def run(config: ServeConfig, ctx: StageContext) -> ServeRecord:
    """Serve until a stop is requested.

    Raises:
        ConfigError: There is no such model, it does not fit into memory, its port is taken, or its engine cannot load
            it or answer with it.
        PlatformError: The engine died.
        Stopped: A stop was requested before it was ready.
    """
    settings = _build_settings(config, ctx)
    require_free_port(settings.host, settings.port)
    uri = ctx.resolve_uri(config.model)
    file = find_gguf(Path(uri.removeprefix("file://")))
    engine = config.engine if config.engine != "auto" else VLLM if file is None else LLAMA_CPP
    if engine == VLLM:
        return _serve_vllm(uri, file, settings, ctx)
    if file is None:
        raise ConfigError(
            f"{config.model}: no GGUF file, which llama.cpp needs",
            "make one: practicum run week-06, or serve with vllm",
        )
    return _serve_llama(file, settings, ctx)


def _build_settings(config: ServeConfig, ctx: StageContext) -> ServerSettings:
    return ServerSettings(
        config=config,
        path=Path(),
        names=list_served_names(config),
        host=os.environ.get(HOST_VARIABLE, "127.0.0.1"),
        port=int(os.environ[PORT_VARIABLE]),
        key=os.environ.get(SERVER_KEY_VARIABLE, ""),
        num_threads=count_threads(1),
        log=ctx.layout.log,
    )


def _serve_vllm(uri: str, file: Path | None, settings: ServerSettings, ctx: StageContext) -> ServeRecord:
    config = settings.config
    if file is not None:
        raise ConfigError(f"{config.model}: a GGUF file, which vLLM does not load", "leave serve.engine=vllm out")
    started_s = time.monotonic()
    folder = ensure_model(uri, ctx.cache_dir).path
    ctx.raise_if_stopped()
    check_template(folder, config.model)
    check_head_size(folder, config.model)
    adapters = ensure_adapters(config, folder, settings.names, ctx)
    check_memory(estimate_memory(folder, config, adapters), config.model)
    files_s = time.monotonic() - started_s
    settings = replace(
        settings,
        path=folder,
        adapters={adapter.name: adapter.folder for adapter in adapters},
        lora_rank=choose_rank(adapters) if adapters else 0,
    )
    with _open_traces(config, ctx) as trace_endpoint:
        settings = replace(settings, trace_endpoint=trace_endpoint)
        served = vllm_server.serve_until_stopped(settings, lambda: ctx.is_stop_requested)
    return _build_record(VLLM, settings, served, files_s, adapters, ctx)


def _open_traces(config: ServeConfig, ctx: StageContext) -> contextlib.AbstractContextManager[str]:
    """Give the address where vLLM sends its spans: a collector's, or that of what writes them to a file; else none."""
    if not config.traces or config.trace_endpoint:
        return contextlib.nullcontext(config.trace_endpoint if config.traces else "")
    return receive_traces(ctx.layout.artifacts / TRACE_FILE)


def _serve_llama(file: Path, settings: ServerSettings, ctx: StageContext) -> ServeRecord:
    config = settings.config
    if config.adapters:
        raise ConfigError(
            f"{config.model}: a GGUF file, beside which no adapters are loaded", "serve the model's folder, with vLLM"
        )
    started_s = time.monotonic()
    facts = read_facts(file)
    if not facts.has_chat_template:
        raise ConfigError(f"{file}: no chat template in it", "make the file again, with one", Reason.MODEL_MISSING)
    slots = plan_slots(facts, config)
    check_memory(slots.estimate_memory(file), config.model)
    files_s = time.monotonic() - started_s
    settings = replace(settings, path=file)
    served = llama_server.serve_until_stopped(
        settings, slots.context_tokens, slots.number, lambda: ctx.is_stop_requested
    )
    served.dtype = facts.dtype
    return _build_record(LLAMA_CPP, settings, served, files_s, (), ctx)


def _build_record(
    engine: str,
    settings: ServerSettings,
    served: Served,
    files_s: float,
    adapters: Sequence[ServedAdapter],
    ctx: StageContext,
) -> ServeRecord:
    return ServeRecord(
        model=settings.config.model,
        model_path=str(settings.path),
        served_names=list(settings.names),
        engine=engine,
        adapters=[adapter.name for adapter in adapters],
        dtype=served.dtype,
        max_model_tokens=served.max_model_tokens,
        num_requests=served.num_requests,
        prompt_tokens=served.prompt_tokens,
        completion_tokens=served.completion_tokens,
        metrics=_build_metrics(served, files_s),
        notes=[f"{adapter.name}: {adapter.note}" for adapter in adapters if adapter.note],
        **ctx.build_record_fields(),
    )


def _build_metrics(served: Served, files_s: float) -> list[Metric]:
    parts = {"files_s": files_s, **served.start_parts_s}
    seconds = {"ready_s": sum(parts.values()), **parts, **served.start_details_s}
    counts = {
        "num_requests": served.num_requests,
        "prompt_tokens": served.prompt_tokens,
        "completion_tokens": served.completion_tokens,
    }
    return [Metric(name=name, value=round(value, 3), unit="s") for name, value in seconds.items()] + [
        Metric(name=name, value=value) for name, value in counts.items()
    ]
