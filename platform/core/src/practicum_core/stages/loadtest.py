"""Configuration and record of the stage ``loadtest``: requests at given rates against a server of OpenAI's API."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from practicum_core.metrics import Metric
from practicum_core.stages.base import OptionalDataUri, StageRecord
from practicum_core.stages.load_results import (
    HOW_TO_READ,
    Bottleneck,
    BottleneckName,
    ClientCheck,
    Estimate,
    LatencySummary,
    LoadDifference,
    LoadLevel,
    LoadSample,
    Proof,
    RequestError,
    ServerMetrics,
    TimelinePoint,
    explain_no_failures,
    group_requests,
)
from practicum_core.stages.replays import ReplayComparison, ToleranceOption, Tolerances
from practicum_core.stages.server_access import ServerAccessConfig
from practicum_core.stages.server_addresses import check_server_address
from practicum_core.stages.spec import Export, SampleSpec, StageSpec
from practicum_core.stages.titles import MetricTitle, figure, key_figure
from practicum_core.texts import Bilingual

__all__ = [
    "Bottleneck",
    "BottleneckName",
    "ClientCheck",
    "Estimate",
    "LatencySummary",
    "LoadDifference",
    "LoadLevel",
    "LoadSample",
    "LoadtestConfig",
    "LoadtestRecord",
    "Objective",
    "Proof",
    "RequestError",
    "ServerMetrics",
    "TimelinePoint",
]

KneeBasis = Literal["bracketed", "none_failed", "none_held"]
"""How the knee was found: below a rate that fails; all rates held, so it is higher; none held, so it is lower."""
LoadProfile = Literal["constant", "poisson", "gamma", "trace"]
Endpoint = Literal["chat", "completions"]
ExportName = Literal["vllm", "guidellm"]
MAX_RATE = 100_000.0
SCHEDULE = "schedule.json"
"""Below ``artifacts``: what was sent when, for a replay."""
PROMPTS = "prompts.jsonl"
"""Below ``artifacts``: the prompts that the schedule names."""
SERVER_METRICS = "server_metrics.jsonl"
"""Below the step's folder: lines of :class:`ServerMetrics`."""


class LoadtestConfig(ServerAccessConfig):
    """Which server is asked, what, and how often. Times are in seconds.

    Requests are sent when they are scheduled, whether earlier ones were answered or not (an open loop).
    """

    url: str = Field(default="step:gateway", description="Address of the server, with or without /v1.")
    engine_url: str = Field(
        default="", description="Address of the engine behind it, whose metrics are read; url alone without it."
    )
    own_key_requests_per_minute: int | None = Field(default=None, ge=1, description="Limit of that key.")
    own_key_tokens_per_minute: int | None = Field(default=None, ge=1, description="Limit of that key.")
    own_key_concurrent_requests: int | None = Field(default=None, ge=1, description="Limit of that key.")
    endpoint: Endpoint = Field(default="chat", description="chat (/v1/chat/completions) or completions.")
    load: LoadProfile = Field(
        default="poisson",
        description="Times between requests: constant; poisson (exponential); gamma (bursts); trace (from a file).",
    )
    burstiness: float = Field(
        default=0.25, gt=0, le=1, description="Shape of gamma: 1 is poisson, and the smaller, the more bursts."
    )
    rates: tuple[float, ...] = Field(
        default=(1.0, 2.0, 4.0, 8.0), min_length=1, max_length=64, description="Requests per second, one after another."
    )
    rate_s: float = Field(default=30.0, gt=0, le=86_400, description="How long each rate is measured.")
    warmup_s: float = Field(default=5.0, ge=0, le=3_600, description="How long each rate is sent before that.")
    settle_s: float = Field(
        default=60.0,
        ge=0,
        le=3_600,
        description="For open requests to end before the next rate; others are cut off.",
    )
    search_steps: int = Field(
        default=0,
        ge=0,
        le=16,
        description="More rates tried for the knee: doubled until one misses the SLO, then between the last two.",
    )
    trace: OptionalDataUri = Field(
        default=None,
        description="JSON lines with at_s and, if wanted, prompt_tokens and max_tokens; stretched to each rate.",
    )
    schedule: OptionalDataUri = Field(
        default=None,
        description="Folder with schedule.json and prompts.jsonl of an earlier test, which is sent again as it was.",
    )
    replay: OptionalDataUri = Field(
        default=None,
        description="Recorded traffic (traffic.jsonl) that is sent again at its own times, and compared.",
    )
    tolerances: ToleranceOption = Field(
        default=Tolerances(),
        description='How much a replay may differ, such as ["step_s=8"]; others keep their defaults.',
    )
    base_samples: OptionalDataUri = Field(
        default=None,
        description="samples.jsonl of an earlier test, such as latest:serving/samples, to compare with; request by "
        "request where its schedule is sent again.",
    )
    split: str | None = Field(default=None, description="Split of the run's data whose prompts are sent.")
    prompt_tokens: int = Field(
        default=64,
        ge=1,
        le=1_000_000,
        description="Without a split: words of a generated prompt, about a token each.",
    )
    prompt_spread: float = Field(
        default=0.0, ge=0, le=2, description="Standard deviation of the logarithm of their lengths."
    )
    num_prompts: int = Field(default=256, ge=1, le=100_000, description="Prompts at most; they are sent in turn.")
    max_tokens: int = Field(default=32, ge=1, le=1_000_000, description="Tokens of an answer at most.")
    ignore_eos: bool = Field(
        default=True, description="Answers of exactly max_tokens, with engines that know the option of that name."
    )
    export: tuple[ExportName, ...] = Field(
        default=(), description="Other tools in whose form the result is written too, below artifacts."
    )
    num_clients: int = Field(default=2, ge=1, le=64, description="Client processes, between which requests go around.")
    timeout_s: float = Field(default=120.0, gt=0, le=3_600, description="For a whole request, from its sending.")
    traces: bool = Field(
        default=False, description="Name a trace in each request (traceparent), for servers that write traces."
    )
    max_dispatch_s: float = Field(
        default=0.02, gt=0, description="99th percentile of the client's delay above which a rate is refused."
    )
    max_client_cpu: float = Field(
        default=0.9, gt=0, le=1, description="Share of a core, of one client process, above which a rate is refused."
    )
    stated_rate: float | None = Field(
        default=None, gt=0, description="Rate that the service promises, one of rates; the lowest without it."
    )
    slo_ttft_s: float | None = Field(default=2.0, gt=0, description="SLO: time to first token.")
    slo_tpot_s: float | None = Field(default=None, gt=0, description="SLO: time per token after the first.")
    slo_e2e_s: float | None = Field(default=None, gt=0, description="SLO: time to the end of the answer.")
    slo_share: float = Field(
        default=0.95, gt=0, le=1, description="Requests that must end well and within the SLO at a rate that meets it."
    )

    @field_validator("url", "engine_url")
    @classmethod
    def _check_address(cls, url: str) -> str:
        """Refuse an address that is none, or that holds a password or a key: the configuration is recorded."""
        return check_server_address(url, "key_variable") if url else url

    @field_validator("rates")
    @classmethod
    def _check_rates(cls, rates: tuple[float, ...]) -> tuple[float, ...]:
        if any(not 0 < rate <= MAX_RATE for rate in rates):
            raise ValueError(f"rates must be above 0, and {MAX_RATE:g} at most")
        if any(second <= first for first, second in pairwise(rates)):
            raise ValueError("rates must rise from one to the next")
        return rates

    @model_validator(mode="after")
    def _check_whole(self) -> Self:
        if not self.url:
            raise ValueError("url: name the server")
        self.check_access((self.url, self.engine_url), "a load test can bring a server down")
        if (self.load == "trace") != (self.trace is not None):
            raise ValueError("load trace and the option trace belong together")
        if self.schedule is not None and (self.trace is not None or self.search_steps):
            raise ValueError(
                "a schedule that is sent again has its own times and rates: leave trace and search_steps out"
            )
        if self.replay is not None and (self.trace, self.schedule, self.search_steps) != (None, None, 0):
            raise ValueError("recorded traffic has its own times: leave trace, schedule and search_steps out")
        if self.stated_rate is not None and self.stated_rate not in self.rates:
            raise ValueError("stated_rate must be one of rates")
        if self.slo_ttft_s is None and self.slo_tpot_s is None and self.slo_e2e_s is None:
            raise ValueError("an SLO needs one of slo_ttft_s, slo_tpot_s and slo_e2e_s")
        return self

    @property
    def objective(self) -> Objective:
        """The SLO."""
        return Objective(ttft_s=self.slo_ttft_s, tpot_s=self.slo_tpot_s, e2e_s=self.slo_e2e_s, share=self.slo_share)

    def list_splits(self) -> tuple[str, ...]:
        """List the split whose prompts are sent."""
        return (self.split,) if self.split else ()


class Objective(BaseModel):
    """An SLO of a service. ``None`` stands for no limit."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    ttft_s: float | None = None
    tpot_s: float | None = None
    e2e_s: float | None = None
    share: float = Field(default=0.95, description="Requests that must end well and within the limits.")

    def is_met_by(self, sample: LoadSample) -> bool:
        """Return whether a request ended well and within the limits; a latency that it does not have has no limit."""
        pairs = ((sample.ttft_s, self.ttft_s), (sample.tpot_s, self.tpot_s), (sample.e2e_s, self.e2e_s))
        return sample.is_ok and all(value is None or limit is None or value <= limit for value, limit in pairs)


class LoadtestRecord(StageRecord):
    """What the server bore."""

    url: str
    model: str
    endpoint: Endpoint
    load: LoadProfile
    schedule_sha256: str = Field(description="Of schedule.json.")
    prompts_sha256: str = Field(description="Of prompts.jsonl.")
    num_clients: int
    objective: Objective
    levels: list[LoadLevel]
    client_check: ClientCheck
    knee_rate: Estimate | None = Field(
        default=None,
        description="Highest rate that met the SLO, with none below that did not; low is the highest that surely "
        "met it (by the whole interval of its good share), high the lowest that surely did not.",
    )
    knee_basis: KneeBasis | None = None
    timeline: list[TimelinePoint] = Field(default_factory=list, description="What ran and what waited, by second.")
    bottleneck: Bottleneck | None = None
    differences: list[LoadDifference] = Field(default_factory=list, description="From the earlier test.")
    replayed: ReplayComparison | None = Field(default=None, description="The traffic against its recording.")


METRICS: Mapping[str, MetricTitle] = {
    "knee_rate": key_figure("Highest rate within the SLO, requests/s", "满足 SLO 的最高速率（请求/秒）", "number"),
    "num_requests": key_figure("Requests", "请求数", "count"),
    "num_failed": key_figure("Failed requests", "失败请求数", "count"),
    "num_failed_to_knee": figure("Failed requests at rates up to the knee", "拐点及以下速率的失败请求数", "count"),
    "knee_tokens_per_s": figure("Generated tokens per second at the knee", "拐点处每秒生成的词元", "number"),
    "stated_ttft_p95_s": key_figure(
        "First token at the stated rate, 95th percentile", "声明速率下首词元时延（p95）", "seconds"
    ),
    "stated_ttft_p95_ratio": figure(
        "First token at the stated rate, 95th percentile, as a share of its limit",
        "声明速率下首词元时延（p95）占上限的比例",
        "share",
    ),
    "bottleneck_named": figure("Bottlenecks that a metric proves", "有指标证明的瓶颈数", "count"),
    "num_refused_levels": figure(
        "Rates refused because the client was the limit", "因受限于客户端而不予采用的速率数", "count"
    ),
    "replay_same": figure("Replays that were the same", "与录制一致的重放次数", "count"),
    "num_levels": figure("Rates tried", "测试的速率数", "count"),
    "client_ok": figure("The client kept its schedule", "客户端按计划发送", "share"),
    "dispatch_p99_s": figure("Delay of the client, 99th percentile", "客户端延迟（p99）", "seconds"),
    "client_cpu_share": figure("Busiest client process, share of a core", "最忙客户端进程的核占用", "share"),
}
FAILURES: Mapping[str, Bilingual] = {
    "client_limited": Bilingual("the client was the limit, so the figures are refused", "受限于客户端，结果不予采用"),
    "requests_failed": Bilingual("requests failed", "有请求失败"),
    "slo_never_met": Bilingual("no rate met the SLO", "没有速率达到 SLO"),
    "differs": Bilingual("the replay was not the same as its recording", "重放与录制不一致"),
    "not_comparable": Bilingual("this machine did not keep the recorded times", "本机未能按录制的时刻发送，不可比较"),
    "still_open": Bilingual("requests were still open when the next rate began", "下一速率开始时仍有未完成的请求"),
}


def describe_result(metrics: Mapping[str, Metric]) -> str:
    """Say up to which rate the SLO was met; empty where that is not known.

    >>> describe_result({"num_levels": Metric(name="num_levels", value=4), "knee_rate": Metric(name="k", value=2.0)})
    'The server met the SLO up to 2 requests/s'
    """
    knee, client = metrics.get("knee_rate"), metrics.get("client_ok")
    if client is not None and not client.value:
        return "The client could not keep its schedule, so the figures are refused"
    if knee is None:
        return "No rate met the SLO" if "num_levels" in metrics else ""
    return f"The server met the SLO up to {knee.value:g} requests/s"


SPEC = StageSpec(
    "loadtest",
    Bilingual(
        "sends requests at rising rates and measures what the server bears", "以递增的速率发送请求，测量服务的承载能力"
    ),
    "base",
    LoadtestConfig,
    LoadtestRecord,
    program="practicum_jobs.loadtest.stage",
    measures_speed=True,
    exports={"schedule": Export("artifacts", "data"), "samples": Export("samples.jsonl", "data")},
    samples=SampleSpec(LoadSample, group_requests, explain_no_failures, HOW_TO_READ),
    metrics=METRICS,
    failures=FAILURES,
    headlines=("knee_rate",),
    describe_result=describe_result,
)
