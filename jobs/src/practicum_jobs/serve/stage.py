"""A model in vLLM's server: checked before it is loaded, ready after a real answer, stopped when asked."""

from __future__ import annotations

import os
import time

from practicum_core.metrics import Metric
from practicum_core.stage_process import HOST_VARIABLE, PORT_VARIABLE
from practicum_core.stages.serve import ServeConfig, ServeRecord
from practicum_jobs.adapters.vllm_server import Served, ServerSettings, serve_until_stopped
from practicum_jobs.context import StageContext
from practicum_jobs.models.sources import ensure_model
from practicum_jobs.serve.memory import check_memory
from practicum_jobs.serve.names import list_served_names


def run(config: ServeConfig, ctx: StageContext) -> ServeRecord:
    """Serve until a stop is requested.

    Raises:
        ConfigError: There is no such model, it does not fit into memory, or vLLM cannot load it or answer with it.
        PlatformError: The engine died.
        Stopped: A stop was requested before it was ready.
    """
    started_s = time.monotonic()
    folder = ensure_model(ctx.resolve_uri(config.model), ctx.cache_dir).path
    ctx.raise_if_stopped()
    check_memory(folder, config)
    settings = ServerSettings(
        config=config,
        path=folder,
        names=list_served_names(config),
        host=os.environ.get(HOST_VARIABLE, "127.0.0.1"),
        port=int(os.environ[PORT_VARIABLE]),
    )
    files_s = time.monotonic() - started_s
    served = serve_until_stopped(settings, lambda: ctx.is_stop_requested)
    return ServeRecord(
        model=config.model,
        model_path=str(folder),
        served_names=list(settings.names),
        dtype=served.dtype,
        max_model_tokens=served.max_model_tokens,
        num_requests=served.num_requests,
        prompt_tokens=served.prompt_tokens,
        completion_tokens=served.completion_tokens,
        metrics=_build_metrics(served, files_s),
        **ctx.build_record_fields(),
    )


def _build_metrics(served: Served, files_s: float) -> list[Metric]:
    parts = {"files_s": files_s, **served.start_parts_s}
    seconds = {"ready_s": sum(parts.values()), **parts}
    counts = {
        "num_requests": served.num_requests,
        "prompt_tokens": served.prompt_tokens,
        "completion_tokens": served.completion_tokens,
    }
    return [Metric(name=name, value=round(value, 3), unit="s") for name, value in seconds.items()] + [
        Metric(name=name, value=value) for name, value in counts.items()
    ]
