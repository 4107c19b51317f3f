"""The unit ``experiments``: frozen data and a baseline that anyone can measure again."""

from __future__ import annotations

from practicum_core.gates import Comparison
from practicum_core.units.shared_steps import MODEL, NO_LEAKAGE, REPORT, SNAPSHOT
from practicum_core.units.unit import Step, Unit, build_gate

EXPERIMENTS = Unit(
    "experiments",
    "Reproducible experiments and data versions",
    "可复现实验与数据版本管理",
    "Freeze the data, measure the base model, and leave a record that anyone can run again.",
    "冻结数据，测出基座模型的基线，并留下任何人都能重跑的记录。",
    ("W1.1", "W1.2", "W1.3", "W1.4", "W1.5", "W1.6"),
    (MODEL, SNAPSHOT, Step("evaluate", "evaluate", quick={"limit": 60}), REPORT),
    (
        NO_LEAKAGE,
        build_gate(
            "baseline_rows",
            "evaluate",
            "num_rows",
            Comparison.AT_LEAST,
            50,
            "The baseline is measured on at least 50 rows",
            "基线至少在 50 条样本上测得",
        ),
        build_gate(
            "baseline_interval",
            "evaluate",
            "exact_match_interval_width",
            Comparison.AT_MOST,
            0.3,
            "The baseline's 95% interval is at most 0.3 wide",
            "基线的 95% 置信区间宽度不超过 0.3",
        ),
    ),
    proves="effect",
)
