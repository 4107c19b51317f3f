"""The unit ``serving``: a model behind the gateway under rising load, its knee, and what it waits for first."""

from __future__ import annotations

from dataclasses import replace

from practicum_core.gates import Comparison
from practicum_core.units.shared_steps import REPORT
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
            config={"engine_url": "step:serve", "own_key": True, "rate_s": 60.0, "search_steps": 6},
            quick={"rates": [1.0, 4.0], "rate_s": 20.0, "warmup_s": 4.0, "search_steps": 3, "settle_s": 40.0},
            needs=("gateway", "serve"),
        ),
        replace(REPORT, config={"max_samples": 12}),
    ),
    (
        build_gate(
            "client_kept_up",
            "loadtest",
            "client_ok",
            Comparison.EQUAL,
            1,
            "The load generator kept its schedule, so that the figures are the server's",
            "负载发生器按计划发送请求，因此结果反映的是服务端",
        ),
    ),
)
