"""Configuration and record of the stage ``gateway``: OpenAI's HTTP API before one or several inference engines."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import Field, field_validator, model_validator

from practicum_core.metrics import Metric
from practicum_core.rungs import RungChange
from practicum_core.stages.base import StageConfig, StageRecord
from practicum_core.stages.spec import Endpoint, PodSize, StageSpec
from practicum_core.stages.titles import figure, key_figure
from practicum_core.stages.upstreams import UpstreamConfig, check_upstreams, read_upstream
from practicum_core.texts import Bilingual
from practicum_core.trace_names import Generation

REDIS_PASSWORD_VARIABLE = "PRACTICUM_REDIS_PASSWORD"  # noqa: S105 - its name
"""Where the gateway finds the password of Redis: a configuration is kept with the run."""


_FIRST_REPLICA_S = 300.0
"""An engine takes a minute or two from its making to its first answer, and may wait in a queue before."""


class GatewayConfig(StageConfig):
    """Where the engines are, and what the gateway allows. Times are in seconds."""

    upstreams: tuple[UpstreamConfig, ...] = Field(
        default=(UpstreamConfig(name="engine", url="step:serve"),),
        min_length=1,
        description="Services of engines (name, url, weight, canary_share, models, aliases, discover), or a line each: "
        "'step:serve weight=3', 'http://HOST:PORT name=new canary_share=0.1 models=a,b aliases=NAME:a discover=true'.",
    )
    upstreams_file: str = Field(
        default="",
        description="JSON file with the field upstreams, in place of that option; a change counts within a second.",
    )
    sticky_bytes: int = Field(
        default=512,
        ge=0,
        le=1 << 16,
        description="Requests whose prompts begin with the same bytes go to the same engine; 0: no such rule.",
    )
    hold_size: int = Field(default=256, ge=0, description="Requests that wait for a first engine at most.")
    hold_timeout_s: float = Field(
        default=0.0, ge=0, description="Longest wait for a first engine, as after a scaling to zero; 0: none waits."
    )
    require_key: bool = Field(default=True, description="Refuse requests without a valid key.")
    keys: str = Field(default="", description="File of keys; gateway-keys.json in the folder of all runs without it.")
    redis_url: str = Field(
        default="",
        pattern=r"^((redis|rediss|unix)://[^\s]+)?$",
        description="Redis in which several gateways hold the limits of keys together, such as redis://redis:6379/0; "
        "its password is read from $PRACTICUM_REDIS_PASSWORD. Without it each gateway has limits of its own.",
    )
    num_replicas: int = Field(
        default=1,
        ge=1,
        description="Gateways that share redis_url; while it is away, each allows its share of a limit.",
    )
    session_key: str = Field(
        default="", description="Id of a key that is revoked at the end where the command that made it was killed."
    )
    request_log: bool = Field(
        default=False, description="One line of JSON in the step's log for each request, without its content."
    )
    traces: bool = Field(default=False, description="A trace of each request, without its content.")
    trace_endpoint: str = Field(
        default="",
        pattern=r"^(https?://[^\s@]+)?$",
        description="OTLP/HTTP address of a collector, such as http://collector:4318/v1/traces; without it, traces are "
        "written to artifacts/traces.jsonl of the step.",
    )
    trace_share: float = Field(
        default=1.0, ge=0, le=1, description="Requests that are traced, of those whose clients leave the choice."
    )
    trace_names: Generation = Field(
        default="latest",
        description="Names of attributes for generative AI: latest (since 1.37), or old as vLLM writes them.",
    )
    traffic: bool = Field(
        default=False,
        description="Record the traffic in traffic.jsonl of the step's artifacts: a line for each request with its "
        "arrival, hashes, sizes and times, without its content.",
    )
    traffic_bodies: bool = Field(
        default=False,
        description="Let a step of the same run that records the traffic fetch what was asked, and keep it masked. "
        "Only with the consent of those who ask.",
    )
    default_max_tokens: int = Field(
        default=512, ge=1, description="max_tokens of a request that names none, where its key has a token limit."
    )
    max_choices: int = Field(default=16, ge=1, description="Answers that one request may ask for (n times prompts).")
    max_body_bytes: int = Field(default=4 << 20, ge=1024, description="Longest body of a request.")
    max_header_bytes: int = Field(default=32 << 10, ge=1024, description="Longest request line with its headers.")
    header_timeout_s: float = Field(default=10.0, gt=0, description="For the headers of a request to arrive.")
    body_timeout_s: float = Field(default=30.0, gt=0, description="For the body of a request to arrive.")
    write_timeout_s: float = Field(default=60.0, gt=0, description="For a client to read on.")
    request_timeout_s: float = Field(
        default=600.0, gt=0, description="For a whole request; x-request-timeout-ms of a request may shorten it."
    )
    connect_timeout_s: float = Field(default=5.0, gt=0, description="For an engine to accept a connection.")
    drain_s: float = Field(default=20.0, ge=0, description="For open requests to end when the gateway is stopped.")
    queue_size: int = Field(default=256, ge=0, description="Requests that wait for an engine at most.")
    queue_timeout_s: float = Field(default=30.0, gt=0, description="Longest wait for an engine.")
    initial_concurrency: int = Field(default=32, ge=1, description="Requests at the engines at first.")
    min_concurrency: int = Field(default=4, ge=1, description="Requests at the engines that are always allowed.")
    max_concurrency: int = Field(default=256, ge=1, description="Requests at the engines at most.")
    breaker_window_s: float = Field(default=10.0, gt=0, description="How long an outcome counts.")
    breaker_min_requests: int = Field(default=10, ge=1, description="Outcomes below which nothing is concluded.")
    breaker_bad_share: float = Field(
        default=0.5, gt=0, le=1, description="Bad outcomes at which an engine is left out."
    )
    breaker_open_s: float = Field(default=2.0, gt=0, description="Until an engine that was left out is tried again.")
    slow_first_token_s: float = Field(default=60.0, gt=0, description="First token that counts as a bad outcome.")
    slow_token_s: float = Field(
        default=0.5,
        gt=0,
        description="Of an answer in one piece, which is slow after that much a token and the above.",
    )
    max_ejected_share: float = Field(
        default=0.5, ge=0, le=1, description="Engines left out at most; one always may be."
    )
    retry_share: float = Field(default=0.2, ge=0, le=1, description="Retries under way, of the open requests.")

    ladder: bool = Field(default=False, description="Answer by lower rungs while the engines are in trouble.")
    small_upstream: str = Field(default="", description="Address of an engine with a smaller model; a rung.")
    knowledge: str = Field(
        default="",
        description="Knowledge base of the ladder and the search: builtin:tickets or a file. Without it, no extracts.",
    )
    search: bool = Field(
        default=False, description="Let keys search the knowledge base at /v1/knowledge/search; off without it."
    )
    faults: bool = Field(
        default=False,
        description="Let experiments break its resolver and its wall clock, by gateway-fault.json of its step; "
        "engines at 127.0.0.1 are then asked at localhost.",
    )
    short_max_tokens: int = Field(default=64, ge=1, description="Tokens of an answer below the best rung.")
    short_messages: int = Field(default=4, ge=1, description="Messages of a conversation below the best rung.")
    ladder_queue_wait_s: float = Field(default=2.0, gt=0, description="Mean wait for an engine that is too long.")
    ladder_first_token_s: float = Field(default=5.0, gt=0, description="Mean time to a first token that is too long.")
    ladder_error_share: float = Field(default=0.3, gt=0, le=1, description="Failed requests that are too many.")
    ladder_kv_use: float = Field(default=0.97, gt=0, le=1, description="Use of the KV cache that is too high.")
    ladder_calm_ratio: float = Field(
        default=0.3, gt=0, lt=1, description="A signal is calm again below this part of its threshold."
    )
    ladder_window_s: float = Field(default=5.0, gt=0, description="Seconds over which signals are averaged.")
    ladder_min_requests: int = Field(default=5, ge=1, description="Requests below which errors conclude nothing.")
    ladder_down_s: float = Field(default=2.0, gt=0, description="Between two steps down.")
    ladder_up_s: float = Field(default=5.0, gt=0, description="Calm before a step up.")
    ladder_settle_s: float = Field(
        default=60.0, gt=0, description="Calm that ends a fault; before, the ladder returns from each rung once."
    )
    probe_s: float = Field(default=1.0, gt=0, description="Between two probes of an engine by the ladder.")
    probe_timeout_s: float = Field(
        default=5.0, gt=0, description="For the first token of a probe by the ladder, or by a check of readiness."
    )
    probe_misses: int = Field(default=2, ge=1, description="Failed probes in a row after which an engine is out.")

    @field_validator("upstreams", mode="before")
    @classmethod
    def _read_lines(cls, value: object) -> object:
        """Take upstreams in one line each, as a week job's options are texts."""
        if not isinstance(value, list | tuple):
            return value
        return [
            read_upstream(one, number) if isinstance(one, str) and one.strip() else one
            for number, one in enumerate(value)
        ]

    @model_validator(mode="after")
    def _check_concurrency(self) -> GatewayConfig:
        if not self.min_concurrency <= self.initial_concurrency <= self.max_concurrency:
            raise ValueError("expected min_concurrency <= initial_concurrency <= max_concurrency")
        check_upstreams(self.upstreams)
        return self

    @model_validator(mode="after")
    def _check_traffic(self) -> GatewayConfig:
        if self.traffic_bodies and not self.traffic:
            raise ValueError("traffic_bodies belongs to recorded traffic: set traffic=true")
        return self

    @model_validator(mode="after")
    def _check_search(self) -> GatewayConfig:
        if self.search and not self.knowledge:
            raise ValueError("search needs a knowledge base: set knowledge, such as builtin:tickets")
        return self

    @model_validator(mode="after")
    def _check_redis(self) -> GatewayConfig:
        if "@" in self.redis_url:
            raise ValueError(f"redis_url: leave the password out, and set it in ${REDIS_PASSWORD_VARIABLE}")
        return self


class GatewayRecord(StageRecord):
    """What passed through since the last start."""

    num_requests: int
    num_errors: int = Field(description="Answers with a status of 500 or more.")
    num_refused: int = Field(description="Answers with a status from 400 to 499.")
    num_clients_gone: int = Field(description="Requests whose client went away before the end.")
    prompt_tokens: int = Field(description="As the engines counted them.")
    completion_tokens: int = Field(description="As the engines counted them.")
    num_degraded: int = Field(default=0, description="Answers of rungs below the best one.")
    rung_changes: list[RungChange] = Field(default_factory=list, description="Steps of the ladder, the last thousand.")


METRICS = {
    "num_requests": key_figure("Requests", "请求数", "count"),
    "num_errors": key_figure("Errors", "错误数", "count"),
    "num_refused": figure("Refused requests", "被拒绝的请求", "count"),
    "num_clients_gone": figure("Clients that went away", "中途断开的客户端", "count"),
    "prompt_tokens": figure("Prompt tokens", "提示词词元数", "count"),
    "completion_tokens": figure("Generated tokens", "生成词元数", "count"),
}


LIMITS = {
    "require_key": Bilingual("keys are required", "要求密钥"),
    "max_body_bytes": Bilingual("body of a request, bytes", "请求体（字节）"),
    "request_timeout_s": Bilingual("for a whole request, s", "单个请求时限（秒）"),
    "max_concurrency": Bilingual("requests at the engines at most", "引擎处的请求上限"),
    "queue_size": Bilingual("requests that wait at most", "排队请求上限"),
    "queue_timeout_s": Bilingual("longest wait in the queue, s", "最长排队时间（秒）"),
    "retry_share": Bilingual("retries, share of the open requests", "重试占未完成请求的比例"),
    "breaker_bad_share": Bilingual("bad outcomes that open a breaker", "触发熔断的失败比例"),
    "breaker_open_s": Bilingual("until a breaker tries again, s", "熔断后重试间隔（秒）"),
    "ladder_queue_wait_s": Bilingual("ladder: mean wait, s", "降级：平均等待（秒）"),
    "ladder_first_token_s": Bilingual("ladder: mean time to a first token, s", "降级：首个词元平均时间（秒）"),
    "ladder_error_share": Bilingual("ladder: failed requests", "降级：失败比例"),
    "ladder_kv_use": Bilingual("ladder: use of the KV cache", "降级：KV 缓存占用"),
    "ladder_calm_ratio": Bilingual("ladder: calm below this part of a threshold", "降级：低于阈值的该比例为平稳"),
    "ladder_up_s": Bilingual("ladder: calm before a step up, s", "降级：恢复一级前的平稳时间（秒）"),
    "ladder_settle_s": Bilingual("ladder: calm that ends a fault, s", "降级：故障结束所需的平稳时间（秒）"),
    "small_upstream": Bilingual("engine of the smaller model", "小模型引擎"),
    "redis_url": Bilingual("Redis that shares limits", "共享限额的 Redis"),
}


def describe_result(metrics: Mapping[str, Metric]) -> str:
    """Say how many requests passed through; empty where none did.

    >>> describe_result({"num_requests": Metric(name="num_requests", value=3)})
    'The gateway answered 3 requests'
    """
    asked = metrics.get("num_requests")
    return f"The gateway answered {asked.value:.0f} requests" if asked is not None and asked.value else ""


def find_meter(config: GatewayConfig, step: str) -> str | None:
    """Return the path at which the gateway tells the load of an engine; ``None`` for one that it does not know.

    >>> find_meter(GatewayConfig(), "serve"), find_meter(GatewayConfig(), "other")
    ('/scaling/engine', None)
    """
    return next((f"/scaling/{one.name}" for one in config.upstreams if one.url == f"step:{step}"), None)


def follow_replicas(config: GatewayConfig) -> GatewayConfig:
    """Return the options for engines whose replicas come and go: each has an address, and a first one is waited for.

    >>> told = follow_replicas(GatewayConfig())
    >>> told.upstreams[0].discover, told.hold_timeout_s
    (True, 300.0)
    """
    found = [one.model_copy(update={"discover": one.url.startswith("step:")}) for one in config.upstreams]
    is_set = "hold_timeout_s" in config.model_fields_set
    hold_s = config.hold_timeout_s if is_set else _FIRST_REPLICA_S
    return config.model_copy(update={"upstreams": tuple(found), "hold_timeout_s": hold_s})


SPEC = StageSpec(
    "gateway",
    Bilingual(
        "answers OpenAI's HTTP API before the engines until it is stopped", "在推理引擎前提供 OpenAI 接口，直到被停止"
    ),
    "gateway",
    GatewayConfig,
    GatewayRecord,
    program="practicum_gateway.stage",
    endpoint=Endpoint(port=8080, ready_path="/readyz", live_path="/healthz", startup_s=60.0),
    find_meter=find_meter,
    follow_replicas=follow_replicas,
    takes_keys=True,
    limits=LIMITS,
    packages=("aiohttp", "uvicorn", "bm25s"),
    pod_size=PodSize("200m", "512Mi", cpu_limit="1"),
    metrics=METRICS,
    describe_result=describe_result,
)
