"""The units ``availability`` and ``availability-brief``: a service broken on purpose, and what its users get."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from practicum_core.gates import Comparison, GateSpec
from practicum_core.units.shared_steps import REPORT, SNAPSHOT
from practicum_core.units.unit import Step, Unit, build_gate

BREAKABLE_GATEWAY: Mapping[str, Any] = {
    "upstreams": [{"name": "engine", "url": "step:faultproxy"}],
    "ladder": True,
    "faults": True,
    "knowledge": "builtin:tickets",
    # Shorter than the client waits, so that a request which hangs ends with an error and not with silence.
    "request_timeout_s": 25.0,
    "queue_timeout_s": 10.0,
    "breaker_min_requests": 4,
    "short_max_tokens": 16,
    "ladder_first_token_s": 4.0,
    "ladder_up_s": 3.0,
    "ladder_settle_s": 10.0,
    "probe_timeout_s": 3.0,
}
"""Options of a gateway with a ladder, behind which a fault proxy stands, and whose surroundings may be broken."""


_TRACED = {"traces": True}
# The requests of this week are rows of the run's own data, so their texts may be kept, masked.
_RECORDED: Mapping[str, Any] = {"traffic": True, "traffic_bodies": True}
_REPLAYED: Mapping[str, Any] = {"recording": "run:stages/chaos/artifacts/recordings", "replays": 2}


_RUNGCHECK = Step(
    "rungcheck",
    "rungcheck",
    # What a model of any size can do: find a number in a note. Tickets as JSON are beyond one that was not tuned.
    config={"task": "question", "scorer": "numeric"},
    quick={"limit": 16},
    needs=("gateway", "replay"),
)
_RUNGS_IN_ORDER = build_gate(
    "rungs_in_order",
    "rungcheck",
    "num_worse_rungs",
    Comparison.EQUAL,
    0,
    "No rung of the ladder is worse than the one below it",
    "没有任何降级层劣于其下一级",
)


def _list_steps(*more: Step, **chaos: Any) -> tuple[Step, ...]:  # noqa: ANN401 - options of the stage
    servers = ("gateway", "faultproxy", "serve")
    return (
        SNAPSHOT,
        Step("serve", "serve", config=_TRACED, quick={"max_num_seqs": 16}, needs=("snapshot",)),
        Step("faultproxy", "faultproxy", needs=("serve",)),
        Step("gateway", "gateway", config={**BREAKABLE_GATEWAY, **_TRACED, **_RECORDED}, needs=("faultproxy",)),
        Step("chaos", "chaos", config={**chaos, **_TRACED, "record": True}, quick={"rate": 1.5}, needs=servers),
        Step("replay", "chaos", config=_REPLAYED, quick={"rate": 1.5}, needs=("chaos", *servers)),
        Step("traces", "traces", needs=("chaos",)),
        *more,
        Step("describe", "describe", needs=("replay", *servers)),
        replace(REPORT, config={"max_samples": 12}, needs=("traces", "describe", *(step.name for step in more))),
    )


def _build_gate(name: str, metric: str, comparison: Comparison, threshold: float, en: str, zh: str) -> GateSpec:
    return build_gate(name, "chaos", metric, comparison, threshold, en, zh)


AVAILABILITY_GATES = (
    _build_gate(
        "all_steady",
        "num_not_steady",
        Comparison.EQUAL,
        0,
        "Every experiment started from a steady state",
        "每个实验都从稳定状态开始",
    ),
    _build_gate(
        "all_made",
        "num_broken_off",
        Comparison.EQUAL,
        0,
        "No experiment was ended by an error",
        "没有实验因错误中断",
    ),
    _build_gate(
        "none_lost",
        "num_lost",
        Comparison.EQUAL,
        0,
        "No accepted request ended without an answer and without an error of the API's shape",
        "没有已接受的请求既无回答、也无规范错误",
    ),
    _build_gate(
        "ladder_came_back",
        "num_not_back",
        Comparison.EQUAL,
        0,
        "The ladder came back to the best rung after every fault",
        "每次故障后都恢复到完整服务",
    ),
    _build_gate(
        "no_flapping",
        "max_returns",
        Comparison.AT_MOST,
        1,
        "The ladder returned from each rung once in a fault at most",
        "单次故障中每一级至多恢复一次，没有反复",
    ),
    _build_gate(
        "all_held",
        "num_deviated",
        Comparison.EQUAL,
        0,
        "The service did what was expected in every experiment",
        "服务在每个实验中都符合预期",
    ),
    _build_gate(
        "all_undone",
        "num_not_undone",
        Comparison.EQUAL,
        0,
        "Every fault was taken back",
        "所有故障均已撤销",
    ),
)

_GATES = (
    *AVAILABILITY_GATES,
    build_gate(
        "same_steps",
        "replay",
        "num_other_steps",
        Comparison.EQUAL,
        0,
        "The same traffic with the same fault took the ladder over the same steps at the same times in every replay",
        "每次重放同样的流量与故障，降级阶梯在相同时间经过相同的步骤",
    ),
    build_gate(
        "described",
        "describe",
        "num_not_ready",
        Comparison.EQUAL,
        0,
        "Every server was ready again when the deployment was described",
        "生成部署说明时所有服务均已恢复就绪",
    ),
)

AVAILABILITY = Unit(
    "availability",
    "Observability, replay and degradation",
    "线上可用性",
    "Break a service on purpose, under load, and prove that it offers less instead of failing, and comes back.",
    "在负载下主动制造故障，证明服务逐级降级而不是失败，并能自行恢复。",
    ("W8.1", "W8.2", "W8.3", "W8.4", "W8.5", "P.6"),
    _list_steps(_RUNGCHECK),
    (*_GATES, _RUNGS_IN_ORDER),
)
AVAILABILITY_BRIEF = Unit(
    "availability-brief",
    "Minimal availability",
    "最小线上可用性",
    "Kill the engine of a service under load, and prove that its users get answers or honest errors until it is back.",
    "在负载下杀死推理引擎，证明用户在恢复之前始终能得到回答或明确的错误。",
    ("V8.3",),
    _list_steps(experiments=["kill", "slow-first-token"]),
    _GATES,
    merges=("availability",),
)
