"""The unit ``evaluate``: the proof that a fine-tuned model is better, or the honest finding that it is not."""

from __future__ import annotations

from practicum_core.gates import Comparison
from practicum_core.units.blind_test import BLIND_STEP
from practicum_core.units.shared_steps import MIXED_DATA, MODEL, NO_LEAKAGE, REPORT, SNAPSHOT
from practicum_core.units.unit import Step, Unit, build_gate

EVALUATE = Unit(
    "evaluate",
    "Proving that it got better",
    "微调评测：证明是否变好",
    "Compare the tuned model of week 3 with the base model, and say with statistics whether it is better.",
    "将第 3 周的微调模型与基座模型对比，用统计方法说明它是否变好。",
    ("W4.1", "W4.2", "W4.3", "W4.4"),
    (
        MODEL,
        SNAPSHOT,
        Step(
            "evaluate",
            "evaluate",
            config={"candidate": "latest:sft/merged", "control_split": "control", "repeat_rows": 200},
            quick={"limit": 100, "control_limit": 60, "repeat_rows": 40},
        ),
        Step("compare", "compare"),
        Step("analyze", "analyze"),
        BLIND_STEP,
        Step("judge", "judge"),
        REPORT,
    ),
    (
        NO_LEAKAGE,
        build_gate(
            "enough_items",
            "compare",
            "verdict_underpowered",
            Comparison.EQUAL,
            0,
            "The comparison has enough items to see a difference that matters",
            "样本量足以看出有意义的差异",
        ),
        build_gate(
            "improved",
            "compare",
            "verdict_improved",
            Comparison.EQUAL,
            1,
            "The candidate is better: the paired, cluster-aware 95% interval is above zero",
            "候选模型更好：按模板聚类的配对 95% 置信区间高于零",
        ),
        build_gate(
            "control_kept",
            "compare",
            "control_regressed",
            Comparison.EQUAL,
            0,
            "No regression is seen on the control set (too few items pass as well)",
            "对照集上未见变差（样本不足时也会通过）",
        ),
        build_gate(
            "judge_agrees",
            "judge",
            "judge_preference",
            Comparison.AT_LEAST,
            0,
            "A calibrated judge does not prefer the base model (left out where the judge is not calibrated)",
            "已校准的裁判没有偏好基座模型（裁判未校准时不计）",
            bound="high",
            is_optional=True,
        ),
    ),
    data_uri=MIXED_DATA,
    proves="effect",
)

COMPARISON = Unit(
    "comparison",
    "Comparison of two models",
    "两个模型的对比",
    "Answer the same rows with two models, and say with statistics whether the second is better.",
    "让两个模型回答相同的样本，并用统计方法说明第二个是否更好。",
    ("W4.3",),
    (MODEL, SNAPSHOT, Step("evaluate", "evaluate"), Step("compare", "compare"), Step("analyze", "analyze"), REPORT),
    tuple(gate for gate in EVALUATE.gates if gate.name in {"enough_items", "improved"}),
)
"""What ``practicum compare`` runs on two models."""

COMPARISON_OF_FILES = Unit(
    "comparison-of-files",
    "Comparison of two result files",
    "两份评测结果的对比",
    "Pair the results of two evaluations by item, and say with statistics whether the second is better.",
    "按样本配对两份评测结果，并用统计方法说明第二份是否更好。",
    ("W4.3",),
    (Step("compare", "compare"), REPORT),
    COMPARISON.gates,
)
"""What ``practicum compare`` runs on two files."""
