"""vLLM's HTTP application in this process, its engine in another."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

from practicum_core.errors import ConfigError
from practicum_core.machine import list_gpus
from practicum_core.stages.serve import ServeConfig
from practicum_jobs.adapters.engine_server import (
    Served,
    ServerSettings,
    interrupted_by_stop,
    serve_application,
    timed,
)
from practicum_jobs.adapters.host_metrics import register_host_metrics

_SETTINGS = {
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",
    "VLLM_NO_USAGE_STATS": "1",
    "VLLM_LOGGING_LEVEL": "INFO",
}
_GIB = 1 << 30
_LOG_TAIL_BYTES = 200_000
_CAUSE = re.compile(r"\b(?:\w+\.)*\w*(?:Error|Exception): (.+)")
_CACHE_WORDS, _CACHE_FIX = "cache", "raise serve.kv_cache_gib, or lower serve.max_model_len"
_TOO_LONG = re.compile(r"max_model_len \((\d+)\) is greater than the derived max_model_len \(\w+=(\d+)")
_VALIDATION = re.compile(r"^\d+ validation errors? for \w+ (?:Value error, )?")
_HIDDEN_CAUSE = "Engine core initialization failed"
_WEIGHTS = re.compile(r"Loading weights took ([\d.]+) seconds")
_COMPILATION = re.compile(r"init engine .* took [\d.]+ s \(compilation: ([\d.]+) s")


def serve_until_stopped(settings: ServerSettings, is_stop_requested: Callable[[], bool]) -> Served:
    """Serve a model until a stop is requested.

    Raises:
        ConfigError: vLLM cannot load the model or answer with it.
        PlatformError: The engine died.
        Stopped: A stop was requested before it was ready.
    """
    served = Served()
    prepare_environment(settings.config)
    with interrupted_by_stop(), timed(served, "import_s"):
        import vllm.entrypoints.launchers.api_server.entry  # noqa: F401, PLC0415 - reads the environment; takes seconds
    register_host_metrics(settings.config.max_num_seqs)
    asyncio.run(_serve(settings, is_stop_requested, served))
    return served


def prepare_environment(config: ServeConfig) -> None:
    """Set what vLLM reads from the environment when it is imported."""
    os.environ.update(_SETTINGS)
    if config.traces:
        # vLLM sends by gRPC otherwise; and who reads the traces of a run shall not have to wait for the last ones.
        os.environ.update({"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http/protobuf", "OTEL_BSP_SCHEDULE_DELAY": "1000"})
    if config.enforce_eager:
        # A rank of log-probabilities is compiled on first use, which would hold every request for 18 s on two cores.
        os.environ["TORCHDYNAMO_DISABLE"] = "1"


async def _serve(settings: ServerSettings, is_stop_requested: Callable[[], bool], served: Served) -> None:
    from vllm.entrypoints.launchers.api_server import entry  # noqa: PLC0415 - as above
    from vllm.entrypoints.launchers.api_server.app_state import init_app_state  # noqa: PLC0415 - as above
    from vllm.entrypoints.launchers.app import build_app  # noqa: PLC0415 - as above

    args = build_arguments(settings)
    async with contextlib.AsyncExitStack() as stack:
        with interrupted_by_stop(), timed(served, "engine_s"), _explained(settings):
            engine = await stack.enter_async_context(entry.build_async_engine_client(args))
        tasks = await engine.get_supported_tasks()
        app = build_app(args, tasks, engine.model_config)
        await init_app_state(engine, app.state, args, tasks)
        served.dtype = str(engine.model_config.dtype).removeprefix("torch.")
        served.max_model_tokens = int(engine.model_config.max_model_len)
        served.start_details_s = find_start_details(_read_log(settings))
        # vLLM's launcher ends its server through this where the engine dies; here the loop that serves looks itself.
        app.state.server = SimpleNamespace(should_exit=False)
        try:
            await serve_application(app, lambda: not engine.errored, settings, served, is_stop_requested)
        finally:
            _count_requests(served)


def build_arguments(settings: ServerSettings) -> Any:  # noqa: ANN401 - untyped library object
    """Build what vLLM's parser makes of its command line."""
    from vllm.entrypoints.launchers.cli_args import make_arg_parser, validate_parsed_serve_args  # noqa: PLC0415 - as above
    from vllm.utils.argparse_utils import FlexibleArgumentParser  # noqa: PLC0415 - as above

    args = make_arg_parser(FlexibleArgumentParser()).parse_args(build_options(settings))
    validate_parsed_serve_args(args)
    return args


def build_options(settings: ServerSettings) -> list[str]:
    """Build vLLM's command line.

    >>> from pathlib import Path
    >>> here = ServerSettings(ServeConfig(max_model_len=512), Path("/m"), ("m",), "127.0.0.1", 8000)
    >>> build_options(here)[:6]
    ['--model', '/m', '--dtype', 'bfloat16', '--max-num-seqs', '32']
    """
    config = settings.config
    valued: dict[str, object] = {
        "model": settings.path,
        "dtype": config.dtype,
        "max-num-seqs": config.max_num_seqs,
        "max-model-len": config.max_model_len,
        "max-num-batched-tokens": config.max_num_batched_tokens,
        "quantization": config.quantization,
        "kv-cache-dtype": config.kv_cache_dtype if config.kv_cache_dtype != "auto" else None,
        "seed": config.seed,
        "otlp-traces-endpoint": settings.trace_endpoint or None,
    }
    if list_gpus():
        valued["gpu-memory-utilization"] = config.gpu_memory_utilization
    else:
        valued["kv-cache-memory-bytes"] = int(config.kv_cache_gib * _GIB)
    flags = {
        "enable-prefix-caching": config.enable_prefix_caching,
        "enable-chunked-prefill": config.enable_chunked_prefill,
        "enforce-eager": config.enforce_eager,
    }
    options = [word for name, value in valued.items() if value is not None for word in (f"--{name}", str(value))]
    options += [f"--{'' if is_on else 'no-'}{name}" for name, is_on in flags.items()]
    options += ["--disable-fastapi-docs", "--served-model-name", *settings.names]
    return [*options, *_build_lora_options(settings)]


def count_lora_places(config: ServeConfig, num_adapters: int) -> int:
    """Return for how many adapters vLLM sets memory aside.

    On a CPU, vLLM 0.32 computes a request to the base model with the adapter in the last place where its batch has
    requests to adapters too (pull requests 48421 and 49656 of vLLM). There every adapter has its own place, so that the
    last one stays empty, which adds nothing.
    """
    return min(config.max_loras, num_adapters) if list_gpus() else num_adapters + 1


def _build_lora_options(settings: ServerSettings) -> list[str]:
    if not settings.adapters:
        return []
    num_places = count_lora_places(settings.config, len(settings.adapters))
    sizes = {
        "max-lora-rank": settings.lora_rank,
        "max-loras": num_places,
        "max-cpu-loras": max(num_places, len(settings.adapters)),
    }
    options = [word for name, value in sizes.items() for word in (f"--{name}", str(value))]
    modules = [json.dumps({"name": name, "path": str(folder)}) for name, folder in settings.adapters.items()]
    return ["--enable-lora", *options, "--lora-modules", *modules]


def _count_requests(served: Served) -> None:
    """Read what vLLM counted of the requests; the first answer is not counted."""
    from prometheus_client import REGISTRY  # noqa: PLC0415 - holds vLLM's metrics once vLLM is imported

    sums = {"vllm:request_success": 0.0, "vllm:prompt_tokens": 0.0, "vllm:generation_tokens": 0.0}
    for family in REGISTRY.collect():
        if family.name in sums:
            sums[family.name] += sum(one.value for one in family.samples if one.name.endswith("_total"))
    served.num_requests = max(int(sums["vllm:request_success"]) - 1, 0)
    served.prompt_tokens = int(sums["vllm:prompt_tokens"])
    served.completion_tokens = int(sums["vllm:generation_tokens"])


@contextlib.contextmanager
def _explained(settings: ServerSettings) -> Iterator[None]:
    try:
        yield
    except (ValueError, RuntimeError, OSError, TypeError, LookupError, NotImplementedError) as error:
        text = shorten_validation(" ".join(str(error).split()))
        if text.startswith(_HIDDEN_CAUSE):
            text = find_root_cause(_read_log(settings)) or text
        if (found := _TOO_LONG.search(text)) is not None:
            wanted, limit = map(int, found.groups())
            raise ConfigError(
                f"{settings.path}: made for {limit:,} tokens, and serve.max_model_len is {wanted:,}",
                f"set serve.max_model_len to {limit} at most",
            ) from error
        raise ConfigError(
            f"{settings.path}: vLLM cannot load it ({text[:400] or type(error).__name__})",
            _CACHE_FIX if _CACHE_WORDS in text else "the step's log has more; choose other options or another model",
        ) from error


def shorten_validation(text: str) -> str:
    """Leave out what pydantic says around the message of an option that vLLM refuses.

    >>> shorten_validation("1 validation error for ModelConfig Value error, No such. [type=value_error, input_value=1]")
    'No such.'
    >>> shorten_validation("Head size 16 is not supported.")
    'Head size 16 is not supported.'
    """
    return _VALIDATION.sub("", text).partition(" [type=")[0]


def _read_log(settings: ServerSettings) -> str:
    """Read the end of the step's log, where vLLM's other processes write; empty where there is none."""
    try:
        with settings.log.open("rb") as log:
            log.seek(max(settings.log.stat().st_size - _LOG_TAIL_BYTES, 0))
            return log.read().decode(errors="replace")
    except OSError:
        return ""


def find_root_cause(log: str) -> str:
    r"""Find the last error that another process of vLLM logged before it gave up; empty where there is none.

    >>> find_root_cause("ERROR [core.py:1] ValueError: Head size 16 is not supported.\nRuntimeError: Engine core ...")
    'Head size 16 is not supported.'
    """
    causes = [found[1].strip() for found in _CAUSE.finditer(log) if not found[1].startswith("Engine core")]
    return causes[-1] if causes else ""


def find_start_details(log: str) -> dict[str, float]:
    r"""Find how long parts of the engine's start took, as vLLM logs them.

    >>> find_start_details("Loading weights took 0.52 seconds\ninit engine (x) took 1.10 s (compilation: 0.70 s)")
    {'weights_s': 0.52, 'compile_s': 0.7}
    """
    patterns = {"weights_s": _WEIGHTS, "compile_s": _COMPILATION}
    found = {name: pattern.findall(log) for name, pattern in patterns.items()}
    return {name: float(values[-1]) for name, values in found.items() if values}
