"""Steps and gates that several units share."""

from __future__ import annotations

from practicum_core.gates import Comparison
from practicum_core.units.unit import Step, build_gate

MODEL = Step("model", "model")
SNAPSHOT = Step("snapshot", "snapshot")
REPORT = Step("report", "report")

TUNED = "run:stages/sft/artifacts/merged"

MIXED_DATA = "builtin:tickets?general_every=5"
"""Tickets with general questions among the rows of train: what a model is trained on that must not forget."""

NO_LEAKAGE = build_gate(
    "no_leakage",
    "snapshot",
    "unwaived_leaks",
    Comparison.EQUAL,
    0,
    "No evaluation row is in the training data",
    "训练数据中没有评测样本",
)
CLIENT_KEPT_UP = build_gate(
    "client_kept_up",
    "loadtest",
    "num_refused_levels",
    Comparison.EQUAL,
    0,
    "The load generator kept its schedule, so that the figures are the server's",
    "负载发生器按计划发送请求，因此结果反映的是服务端",
)
