"""The unit ``quantize``: what smaller files of the tuned model save, and what they lose."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from practicum_core.gates import Comparison
from practicum_core.units.shared_steps import NO_LEAKAGE, REPORT, SNAPSHOT
from practicum_core.units.unit import Step, Unit, build_gate

_TUNED: Mapping[str, Any] = {"model": "latest:sft/merged"}

QUANTIZE = Unit(
    "quantize",
    "Quality, speed and cost of quantization",
    "量化：质量、速度与成本",
    "Make smaller files of the tuned model, measure what each costs and loses, and recommend one per task.",
    "将微调模型量化为多种格式，测量各自的成本与质量损失，并按任务给出建议。",
    ("W6.1", "W6.2", "W6.3"),
    (
        Step("model", "model", config=_TUNED),
        SNAPSHOT,
        Step(
            "quantize",
            "quantize",
            config=_TUNED,
            quick={
                "formats": ["gguf-f16", "gguf-q8_0", "gguf-q4_k_m", "int8", "gptq", "awq", "nf4"],
                "gptq_rows": 32,
                "awq_rows": 8,
                "awq_grid": 4,
                "num_texts": 8,
            },
        ),
        Step("quantcheck", "quantcheck", config=_TUNED, quick={"limit": 60, "control_limit": 40, "timeout_s": 240}),
        replace(REPORT, config={"max_samples": 240}),  # ten in each of three groups of eight artifacts
    ),
    (
        NO_LEAKAGE,
        build_gate(
            "clean_calibration",
            "quantize",
            "calibration_leaks",
            Comparison.EQUAL,
            0,
            "No test row is in the calibration set",
            "校准集中没有测试样本",
        ),
        build_gate(
            "all_measured",
            "quantcheck",
            "num_unmeasured",
            Comparison.EQUAL,
            0,
            "Every artifact loads in its engine and answers",
            "每个量化文件都能由对应引擎加载并作答",
        ),
        build_gate(
            "same_prompts",
            "quantcheck",
            "prompt_differences",
            Comparison.EQUAL,
            0,
            "Every engine that shows its prompt tokens processed those of the original",
            "凡能给出提示词词元的引擎，处理的词元均与原模型一致",
        ),
        build_gate(
            "same_template",
            "quantcheck",
            "template_differences",
            Comparison.EQUAL,
            0,
            "Every engine's own chat template gives the original's tokens",
            "各引擎自带的对话模板得到与原模型相同的词元",
        ),
    ),
    proves="performance",
)
