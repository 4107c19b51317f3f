"""Configuration and record of the stage ``chaos``: faults in a service under load, and what becomes of its requests."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Self

from pydantic import Field, field_validator, model_validator

from practicum_core.metrics import Metric
from practicum_core.stages.base import OptionalDataUri, RunName
from practicum_core.stages.replays import ReplaysRecord, ToleranceOption, Tolerances
from practicum_core.stages.server_access import ServerAccessConfig
from practicum_core.stages.server_addresses import check_server_address
from practicum_core.stages.spec import StageSpec
from practicum_core.stages.titles import figure, key_figure
from practicum_core.texts import Bilingual


class ChaosConfig(ServerAccessConfig):
    """Which experiments, and the load beside them. Times are in seconds."""

    url: str = Field(default="step:gateway", description="Address of the gateway, or of any server of OpenAI's API.")
    proxy_url: str = Field(default="step:faultproxy", description="Address of the fault proxy; none without it.")
    service_run: RunName = Field(
        default="",
        description="Run whose servers are broken: latest:UNIT, run:RUN_ID or pointer:NAME; that of this step without "
        "it.",
    )
    own_key: bool = Field(
        default=True, description="Make a key for the gateway of this machine, and revoke it at the end."
    )
    experiments: tuple[str, ...] = Field(
        default=("kill", "hang", "slow-first-token", "errors", "cut", "malformed"),
        min_length=1,
        max_length=64,
        description="Names of experiments that come with Practicum, or paths of files.",
    )
    record: bool = Field(
        default=False,
        description="Keep a recording of each experiment below artifacts/recordings, to be replayed; "
        "the gateway needs the option traffic.",
    )
    recording: OptionalDataUri = Field(
        default=None,
        description="Folder of a recording, or of several, replayed in place of experiments: its requests at the same "
        "times, its fault at the same moment.",
    )
    replayed: str = Field(
        default="slow-first-token", description="Which of several recordings; the first of all without it."
    )
    replays: int = Field(default=3, ge=1, le=20, description="How often a recording is replayed.")
    tolerances: ToleranceOption = Field(
        default=Tolerances(),
        description='How much a replay may differ, such as ["step_s=8"]; others keep their defaults.',
    )
    rate: float = Field(default=2.0, gt=0, le=1000, description="Requests per second beside the experiments.")
    max_tokens: int = Field(default=24, ge=1, description="Tokens of an answer.")
    ignore_eos: bool = Field(
        default=True, description="Answers of exactly max_tokens, with engines that know the option of that name."
    )
    split: str | None = Field(default="test", description="Split of the run's data whose prompts are sent.")
    prompt_tokens: int = Field(
        default=32, ge=1, le=100_000, description="Without a split: words of a generated prompt, about a token each."
    )
    num_prompts: int = Field(default=64, ge=1, le=10_000, description="Prompts at most; they are sent in turn.")
    num_clients: int = Field(default=1, ge=1, le=16, description="Client processes.")
    timeout_s: float = Field(default=40.0, gt=0, description="For a request of the load.")
    traces: bool = Field(
        default=False, description="Name a trace in each request (traceparent), for servers that write traces."
    )
    steady_timeout_s: float = Field(default=90.0, ge=0, description="Wait for the steady state before an experiment.")

    @field_validator("url", "proxy_url")
    @classmethod
    def _check_address(cls, url: str) -> str:
        return check_server_address(url, "key_variable") if url else url

    @model_validator(mode="after")
    def _check_owner(self) -> Self:
        if not self.url:
            raise ValueError("url: name the server")
        self.check_access((self.url, self.proxy_url), "faults are for your own")
        return self

    def list_splits(self) -> tuple[str, ...]:
        """List the split whose prompts are sent."""
        return (self.split,) if self.split else ()


class ChaosRecord(ReplaysRecord):
    """What the service did in each fault."""

    url: str


METRICS = {
    "num_experiments": key_figure("Experiments", "实验数", "count"),
    "num_held": key_figure("Experiments in which the service held", "服务经受住的实验数", "count"),
    "num_deviated": figure("Experiments in which it did not", "未经受住的实验数", "count"),
    "num_not_steady": figure("Experiments that did not start from a steady state", "起始状态不稳定的实验数", "count"),
    "num_not_undone": figure("Faults that could not be taken back", "未能撤销的故障数", "count"),
    "num_broken_off": figure("Experiments that an error ended", "因错误中断的实验数", "count"),
    "num_not_recorded": figure("Experiments without a recording", "未能录制的实验数", "count"),
    "num_not_back": figure("Experiments after which the ladder did not come back", "降级未恢复的实验数", "count"),
    "num_unlike_repeats": figure(
        "Repeated experiments with other steps of the ladder", "重复实验中降级过程不一致的实验数", "count"
    ),
    "max_returns": figure("Most returns from one rung in one fault", "单次故障中同一级的最多恢复次数", "count"),
    "num_requests": figure("Requests", "请求数", "count"),
    "num_full": figure("Requests answered by the model as asked", "由模型完整回答的请求", "count"),
    "num_degraded": figure("Requests answered by a lower rung", "由降级层回答的请求", "count"),
    "num_errors": figure("Requests that got an error of the right kind", "得到规范错误的请求", "count"),
    "num_lost": key_figure("Requests lost", "丢失的请求", "count"),
    "num_replays": figure("Replays of a recording", "重放次数", "count"),
    "num_unlike_replays": figure("Replays that were not the same", "与录制不一致的重放次数", "count"),
    "num_other_steps": figure("Replays with other steps of the ladder", "降级步骤与录制不同的重放次数", "count"),
    "num_same_replays": key_figure("Replays that were the same", "与录制一致的重放次数", "count"),
    "down_s": figure("From a fault to the first step down, longest", "从故障到首次降级的最长时间", "seconds"),
    "back_s": figure("From the end of a fault to the best rung, longest", "从故障结束到完全恢复的最长时间", "seconds"),
}
FAILURES: Mapping[str, Bilingual] = {
    "deviated": Bilingual("the service did not hold in an experiment", "服务未经受住实验"),
    "not_steady": Bilingual("no steady state before an experiment", "实验前状态不稳定"),
    "not_undone": Bilingual("a fault could not be taken back", "故障未能撤销"),
    "broken_off": Bilingual("an error ended an experiment; nothing is known of it", "实验因错误中断，结果未知"),
    "not_recorded": Bilingual("an experiment could not be recorded", "实验未能录制"),
    "differs": Bilingual("a replay was not the same as its recording", "重放与录制不一致"),
    "not_comparable": Bilingual(
        "this machine did not keep the schedule of a replay", "本机未能按计划发送，重放不可比较"
    ),
}


def describe_result(metrics: Mapping[str, Metric]) -> str:
    """Say how many experiments held.

    >>> found = {name: Metric(name=name, value=value) for name, value in (("num_held", 5), ("num_experiments", 6))}
    >>> describe_result(found)
    'The service held in 5 of 6 experiments'
    """
    replays, same = metrics.get("num_replays"), metrics.get("num_same_replays")
    if replays is not None and same is not None and replays.value:
        return f"{same.value:.0f} of {replays.value:.0f} replays were the same as the recording"
    held, tried = metrics.get("num_held"), metrics.get("num_experiments")
    if held is None or tried is None:
        return ""
    return f"The service held in {held.value:.0f} of {tried.value:.0f} experiments"


SPEC = StageSpec(
    "chaos",
    Bilingual(
        "breaks the service on purpose, under load, and measures what users get", "在负载下主动制造故障，测量用户体验"
    ),
    "base",
    ChaosConfig,
    ChaosRecord,
    metrics=METRICS,
    failures=FAILURES,
    headlines=("num_held", "num_lost"),
    breaks_pods=True,
    describe_result=describe_result,
)
