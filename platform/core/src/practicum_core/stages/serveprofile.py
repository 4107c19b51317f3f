"""Configuration and record of the stage ``serveprofile``: what each option of an inference server changes."""

from __future__ import annotations

from typing import Self

from pydantic import Field, ValidationError, model_validator

from practicum_core.errors import suggest_similar
from practicum_core.stages.base import ModelUri, StageConfig
from practicum_core.stages.levers import FAILURES as LEVER_FAILURES
from practicum_core.stages.levers import METRICS as LEVER_METRICS
from practicum_core.stages.levers import LeverRecord, describe_result, parse_options
from practicum_core.stages.serve import ServeConfig
from practicum_core.stages.spec import StageSpec
from practicum_core.stages.titles import figure
from practicum_core.texts import Bilingual

CHANGEABLE = (
    "dtype",
    "enable_chunked_prefill",
    "enable_prefix_caching",
    "enforce_eager",
    "gpu_memory_utilization",
    "kv_cache_dtype",
    "kv_cache_gib",
    "max_model_len",
    "max_num_batched_tokens",
    "max_num_seqs",
    "quantization",
)
"""Options of serve that a lever may change."""
LEVERS = (
    "enable_prefix_caching=false",
    "enable_chunked_prefill=false",
    "max_num_batched_tokens=64",
    "max_num_seqs=4",
    "kv_cache_gib=0.03",
    "kv_cache_dtype=fp8",
    "dtype=float32",
)


class ServeProfileConfig(StageConfig):
    """Which server is measured, which options are tried, and what it is asked.

    A round sends one burst: requests that come at once, with the same beginning and different ends.
    """

    model: ModelUri = Field(default="builtin:smollm2-135m", description="URI of the model.")
    baseline: str = Field(
        default="max_model_len=1024 max_num_seqs=16",
        description="Options of serve that every measurement has, as name=value.",
    )
    levers: tuple[str, ...] = Field(
        default=LEVERS, description="Each: options of serve that are changed against the baseline, as name=value."
    )
    rounds: int = Field(default=5, ge=2, le=100, description="Times that baseline and lever are measured in turn.")
    num_requests: int = Field(default=16, ge=2, le=10_000, description="Requests of a burst.")
    shared_tokens: int = Field(
        default=160, ge=0, le=100_000, description="Words, about a token each, with which all prompts begin."
    )
    own_tokens: int = Field(default=32, ge=1, le=100_000, description="Words that only one prompt has.")
    max_tokens: int = Field(default=24, ge=2, le=100_000, description="Tokens of every answer.")
    num_answers: int = Field(default=6, ge=1, le=1_000, description="Prompts whose answers are compared.")
    timeout_s: float = Field(default=300, gt=0, description="For a server to be ready, and for a burst.")

    @model_validator(mode="after")
    def _check_options(self) -> Self:
        self.build_server()
        for lever in self.levers:
            self.build_server(lever)
        return self

    def build_server(self, lever: str = "") -> ServeConfig:
        """Return the options of serve with the baseline's and then those of a lever.

        Raises:
            ValueError: An option does not exist, may not be a lever, or has a wrong value.
        """
        options, changed = parse_options(self.baseline), parse_options(lever)
        if wrong := [name for name in (*options, *changed) if name not in CHANGEABLE]:
            raise ValueError(
                f"'{lever or self.baseline}' is no lever{suggest_similar(wrong[0], CHANGEABLE)}:"
                f" it may change {', '.join(CHANGEABLE)}"
            )
        try:
            return ServeConfig.model_validate(
                {"model": self.model, "engine": "vllm", "served_name": "measured", "drain_s": 1, **options, **changed}
            )
        except ValidationError as error:
            first = error.errors()[0]
            name = ".".join(map(str, first["loc"]))
            raise ValueError(f"'{self.baseline} {lever}': {name}: {first['msg']}") from error


class ServeProfileRecord(LeverRecord):
    """Levers of serving."""


SPEC = StageSpec(
    "serveprofile",
    Bilingual("measures what each option of an inference server changes", "测量推理服务的每个选项带来的变化"),
    "serve",
    ServeProfileConfig,
    ServeProfileRecord,
    program="practicum_jobs.serveprofile.stage",
    uses_gpu=True,
    measures_speed=True,
    metrics={
        **LEVER_METRICS,
        "ttft_s": figure("Baseline, median time to the first token", "基线：首词元时延中位数", "seconds"),
        "tpot_s": figure("Baseline, median time per further token", "基线：后续每词元时延中位数", "seconds"),
        "num_failed_requests": figure("Requests that failed", "失败的请求数", "count"),
    },
    failures=LEVER_FAILURES,
    headlines=("baseline_tokens_per_s", "best_ratio"),
    describe_result=describe_result,
)
