"""The unit of the made-up stages: a server, a task that uses it, and one that starts when both are over."""

from __future__ import annotations

from practicum_core.gates import Comparison, GateSpec
from practicum_core.units.unit import Step, Unit

GREETINGS = Unit(
    "greetings",
    "A server and its caller",
    "服务与调用方",
    "See a server live beside the task that uses it.",
    "观察服务与使用它的任务同时运行。",
    ("P.3",),
    (
        Step("greeter", "greeter"),
        Step("caller", "caller", needs=("greeter",)),
        Step("report", "report"),
    ),
    (
        GateSpec(
            name="greeted",
            step="caller",
            metric="num_greetings",
            comparison=Comparison.AT_LEAST,
            threshold=1,
            title_en="The caller was greeted",
            title_zh="调用方收到了问候",
        ),
    ),
)
UNITS = (GREETINGS,)
