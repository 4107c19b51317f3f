"""What a load test measured: one request, the servers' metrics each second, one rate, the knee and the bottleneck.

All times of a test are in seconds from its start, on one monotonic clock that its client processes share. Latencies
count from the time at which a request was scheduled, so that a late client makes them longer and never shorter.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from practicum_core.stages.samples import Sample, SampleGroup, SampleText, list_nonempty
from practicum_core.texts import Bilingual

Phase = Literal["warmup", "measured"]
HTTP_OK = 200


class RequestError(StrEnum):
    """How a request failed. ``http_STATUS`` stands for an answer with another status than 200."""

    CONNECT = "connect"
    """No connection was made."""
    CLIENT = "client"
    """The client's machine had no open file, port or memory left for a connection."""
    LOST = "lost"
    """The connection ended before the answer."""
    TIMEOUT = "timeout"
    """The answer did not end in time."""
    NOT_A_STREAM = "not_a_stream"
    """Status 200 with something else than a stream of events."""
    IN_STREAM = "in_stream"
    """The stream held an error."""
    CUT_OFF = "cut_off"
    """The stream ended without its last event."""
    OPEN = "open"
    """It was still open when its rate was over and the time to settle had passed."""
    EMPTY = "empty"
    """The stream ended well, without a token."""


class LoadSample(Sample):
    """One request. Times are seconds from the start of the test; ``id`` is ``LOAD-NUMBER``."""

    load: int = Field(description="Index of the rate step.")
    rate: float = Field(description="Requests per second asked.")
    phase: Phase = "measured"
    client: int = Field(default=0, description="Client process that sent it.")
    scheduled_s: float
    sent_s: float = Field(description="When the client began to send it.")
    first_token_s: float | None = Field(default=None, description="When the first token came.")
    last_token_s: float | None = None
    ended_s: float
    status: int = Field(default=0, description="Of HTTP; 0 where no answer came.")
    error: str = Field(default="", description="RequestError, or http_STATUS; empty where it ended well.")
    error_text: str = Field(default="", description="What the server said, shortened.")
    rung: str = Field(default="", description="Rung of the gateway's ladder that answered; empty for the best one.")
    traceparent: str = Field(default="", description="Names its trace; empty where it was not traced.")
    sent_at_s: float = Field(default=0.0, description="When a traced request was sent, in seconds since the epoch.")
    prompt_index: int = Field(default=0, description="Line of prompts.jsonl.")
    prompt_tokens: int = Field(default=0, description="As the server counts them; 0 where it does not say.")
    completion_tokens: int = Field(
        default=0, description="As the server counts them; the chunks with text where it does not say."
    )
    num_chunks: int = Field(default=0, description="Chunks with text.")
    itl_p50_s: float | None = Field(default=None, description="Median time between two chunks.")
    itl_p99_s: float | None = None
    itl_max_s: float | None = None

    @property
    def is_ok(self) -> bool:
        """Whether it ended well."""
        return not self.error

    @property
    def dispatch_s(self) -> float:
        """How late the client sent it."""
        return self.sent_s - self.scheduled_s

    @property
    def ttft_s(self) -> float | None:
        """Time to first token, from the scheduled time."""
        return None if self.first_token_s is None else self.first_token_s - self.scheduled_s

    @property
    def e2e_s(self) -> float:
        """Time to the end, from the scheduled time."""
        return self.ended_s - self.scheduled_s

    @property
    def tpot_s(self) -> float | None:
        """Mean time per token after the first; ``None`` for fewer than two tokens."""
        if self.first_token_s is None or self.last_token_s is None or self.completion_tokens < 2:  # noqa: PLR2004
            return None
        return (self.last_token_s - self.first_token_s) / (self.completion_tokens - 1)

    def list_texts(self) -> list[SampleText]:
        """List what happened to it."""
        shown = f"{self.rate:g}/s, {self.id}"
        times = "" if self.ttft_s is None else f"{self.ttft_s:.3f} s, "
        texts = [
            SampleText(_REQUEST, shown),
            SampleText(_TIMES, f"{times}{self.e2e_s:.3f} s", "plain" if self.is_ok else "bad"),
            SampleText(_TOKENS, f"{self.prompt_tokens} + {self.completion_tokens}"),
        ]
        if self.is_ok:
            return texts
        said = f"{self.error}: {self.error_text}" if self.error_text else self.error
        return [*texts, SampleText(_ERROR, said, "bad")]


class ServerMetrics(BaseModel):
    """What a server said of itself, or a system of its processors, at one moment."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    at_s: float = Field(description="Seconds from the start of the test.")
    source: str = Field(description="engine:NAME, gateway, client or cpu.")
    values: dict[str, float] = Field(
        description="By name as in Prometheus' text; labels that tell series apart stay in the name, "
        "as in name{label=value}; of histograms the _sum and _count."
    )


class Estimate(BaseModel):
    """A figure with the ends of its 95% interval; ``None`` means that no interval was computed."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    value: float
    low: float | None = None
    high: float | None = None


class LatencySummary(BaseModel):
    """A latency at one rate, in seconds, over the measured requests that ended well."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    p50: Estimate
    p95: Estimate
    p99: Estimate
    mean: float


class LoadLevel(BaseModel):
    """What one rate gave. Requests of the warm-up count nowhere in it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    load: int = Field(description="Index of the rate step.")
    rate: float = Field(description="Requests per second asked.")
    start_s: float = Field(description="Start of the measured part.")
    end_s: float = Field(description="End of the measured part; requests scheduled until then are awaited.")
    scheduled_rate: float = Field(description="Requests per second that the schedule has in the measured part.")
    reached_rate: float = Field(description="Requests per second that ended well in that part.")
    num_requests: int
    num_ok: int
    num_failed: int
    failures: dict[str, int] = Field(default_factory=dict, description="Failed requests by kind.")
    ttft: LatencySummary | None = Field(default=None, description="Time to first token.")
    tpot: LatencySummary | None = Field(default=None, description="Time per token after the first.")
    itl: LatencySummary | None = Field(default=None, description="Each request's 99th percentile between two chunks.")
    e2e: LatencySummary | None = Field(default=None, description="To the end of the answer.")
    prompt_tokens_per_s: float = Field(default=0.0, description="Of the same requests.")
    completion_tokens_per_s: float = 0.0
    goodput: Estimate | None = Field(default=None, description="Requests per second within the SLO.")
    good_share: Estimate | None = Field(default=None, description="Of all measured requests, failed ones too.")
    meets_slo: bool = False
    dispatch_p50_s: float = Field(default=0.0, description="How late the client sent requests.")
    dispatch_p99_s: float = 0.0
    client_cpu_share: float = Field(
        default=0.0, description="Of one core, of the busiest client process, in its busiest second."
    )
    refused: str = Field(
        default="", description="Why the figures are not the server's: the client was the limit. They are then absent."
    )


class LoadDifference(BaseModel):
    """This test minus an earlier one, at one rate and percentile. Negative is faster."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    rate: float
    latency: Literal["ttft", "e2e"]
    quantile: float
    base: Estimate = Field(description="Of the earlier test, in seconds.")
    candidate: Estimate
    difference: Estimate
    is_paired: bool = Field(description="Whether both answered the same requests at the same times of the schedule.")
    verdict: Literal["faster", "slower", "unclear", "too_few"] = Field(
        description="too_few: fewer than five independent requests lie beyond the percentile."
    )


class BottleneckName(StrEnum):
    """What a rate above the knee waits for first."""

    NONE = "none"
    """Every rate met the SLO."""
    CLIENT = "client"
    RATE_LIMIT = "rate_limit"
    GATEWAY_QUEUE = "gateway_queue"
    ENGINE_QUEUE = "engine_queue"
    KV_CACHE = "kv_cache"
    PREFILL = "prefill"
    DECODE = "decode"
    CPU_QUOTA = "cpu_quota"
    UNKNOWN = "unknown"
    """No metric of a server shows it."""


class Proof(BaseModel):
    """A metric that names a bottleneck."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    metric: str
    source: str = Field(description="As in ServerMetrics, or requests for what the client saw.")
    value: float
    limit: float | None = Field(default=None, description="What it was held against.")
    text_en: str = Field(description="One sentence for a person.")
    text_zh: str


class Bottleneck(BaseModel):
    """The first bottleneck and the metrics that prove it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: BottleneckName
    rate: float | None = Field(default=None, description="Rate at which it was seen.")
    proofs: list[Proof] = Field(default_factory=list)
    others: list[BottleneckName] = Field(
        default_factory=list, description="Those further on of which metrics show signs too, at the same rate."
    )


class TimelinePoint(BaseModel):
    """One moment of a test. ``None`` stands for what nobody said at that time."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    at_s: float
    rate: float | None = Field(default=None, description="Requests per second that were sent then; none between rates.")
    running: float | None = Field(default=None, description="Requests that the engines computed.")
    waiting: float | None = Field(default=None, description="Requests in the engines' queues.")
    gateway_waiting: float | None = Field(default=None, description="Requests in the gateway's queue.")
    kv_usage: float | None = Field(default=None, description="Share of the KV cache in use, of the fullest engine.")
    num_engines: int = Field(default=0, description="Engines that answered.")


class ClientCheck(BaseModel):
    """Whether the client kept its schedule, so that the figures are the server's."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    is_ok: bool
    why: str = ""
    dispatch_p50_s: float
    dispatch_p99_s: float
    max_cpu_share: float = Field(description="Of one core, of the busiest client process, in its busiest second.")


HOW_TO_READ = Bilingual(
    "Which requests failed, and which took longest: look for what they have in common, a moment, a length or an error.",
    "哪些请求失败、哪些最慢：看它们有何共同点（时刻、长度或错误）。",
)
_REQUEST = Bilingual("Request", "请求")
_TIMES = Bilingual("To the first token, and to the end, from the scheduled time", "自计划时刻至首个词元、至结束")
_TOKENS = Bilingual("Tokens of the prompt and of the answer", "提示词与回答的词元数")
_ERROR = Bilingual("What went wrong", "出错原因")
_FAILED = Bilingual("Failed requests", "失败的请求")
_SLOWEST = Bilingual("Slowest requests", "最慢的请求")
_NUM_SHOWN = 20


def group_requests(samples: Sequence[LoadSample]) -> list[SampleGroup]:
    """Group what a page shows of the requests: some of those that failed, and the slowest of the others."""
    measured = [one for one in samples if one.phase == "measured"]
    failed = [one for one in measured if not one.is_ok]
    slowest = sorted((one for one in measured if one.is_ok), key=lambda one: -one.e2e_s)
    return list_nonempty(
        SampleGroup(_FAILED, "bad", failed[:_NUM_SHOWN]), SampleGroup(_SLOWEST, "plain", slowest[:_NUM_SHOWN])
    )


def explain_no_failures(samples: Sequence[LoadSample]) -> Bilingual | None:
    """Say that no request failed, where there were any."""
    return _NO_FAILURES if samples else None


_NO_FAILURES = Bilingual("No measured request failed.", "计入统计的请求均未失败。")
