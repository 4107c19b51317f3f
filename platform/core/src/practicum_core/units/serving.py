"""The unit ``serving``: a model behind the gateway under rising load, its knee, and what it waits for first."""

from __future__ import annotations

from dataclasses import replace

from practicum_core.gates import Comparison
from practicum_core.units.shared_steps import CLIENT_KEPT_UP, REPORT
from practicum_core.units.unit import Step, Unit, build_gate

SERVING = Unit(
    "serving",
    "Serving under load",
    "推理服务化与并发",
    "Serve a model behind the gateway, find the highest load that it bears, and name what it waits for first.",
    "在网关后提供模型服务，找出它能承受的最高负载，并指明最先出现的瓶颈。",
    ("W7.1", "W7.2", "W7.3"),
    (
        Step("serve", "serve", quick={"max_num_seqs": 16}),
        Step("gateway", "gateway", needs=("serve",)),
        Step(
            "loadtest",
            "loadtest",
            # A client may be late by 5% of the SLO: on two cores, the engine makes it wait for a processor.
            config={
                "engine_url": "step:serve",
                "own_key": True,
                "rate_s": 60.0,
                "search_steps": 6,
                "max_dispatch_s": 0.1,
            },
            quick={"rates": [1.0, 4.0], "rate_s": 20.0, "warmup_s": 4.0, "search_steps": 3, "settle_s": 40.0},
            needs=("gateway", "serve"),
        ),
        replace(REPORT, config={"max_samples": 12}),
    ),
    (
        CLIENT_KEPT_UP,
        build_gate(
            "stated_rate_kept",
            "loadtest",
            "stated_ttft_p95_ratio",
            Comparison.AT_MOST,
            1,
            "At the stated rate, 95 of 100 first tokens come within the SLO",
            "在声明的速率下，95% 的首个词元在 SLO 之内",
        ),
        build_gate(
            "none_failed_below_knee",
            "loadtest",
            "num_failed_to_knee",
            Comparison.EQUAL,
            0,
            "No request fails at any rate up to the knee",
            "在拐点及以下的速率，没有请求失败",
        ),
        build_gate(
            "bottleneck_named",
            "loadtest",
            "bottleneck_named",
            Comparison.EQUAL,
            1,
            "A rate above the knee was tried, and a metric shows what it waited for first",
            "测试了高于拐点的速率，且有指标表明它最先在等待什么",
        ),
    ),
    proves="performance",
)
