"""The unit ``sft``: supervised fine-tuning, and the proof that it helped."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from practicum_core.gates import Comparison
from practicum_core.units.shared_steps import MIXED_DATA, MODEL, NO_LEAKAGE, REPORT, SNAPSHOT, TUNED
from practicum_core.units.unit import Step, Unit, build_gate

SFT_QUICK: Mapping[str, Any] = {
    "train_rows": 400,
    "validation_rows": 24,
    "max_steps": 50,
    "batch_size": 8,
    "learning_rate": 7e-4,  # a small model tolerates a high rate, and few steps need one
    "export_scale": 0.5,  # half of the change (WiSE-FT): with the general rows enough to keep the control set
    "num_sample_prompts": 1,
    "sample_max_new_tokens": 40,
}

SFT = Unit(
    "sft",
    "Supervised fine-tuning with LoRA",
    "SFT 实战：LoRA 微调",
    "Train an adapter, export it, and prove on unseen rows that the tuned model beats the base model.",
    "训练并导出适配器，并在未见过的样本上证明微调模型优于基座模型。",
    ("W3.1", "W3.2", "W3.3"),
    (
        MODEL,
        SNAPSHOT,
        Step("sft", "sft", config={"num_epochs": 3}, quick=SFT_QUICK),
        Step("inference", "inference"),
        Step("evaluate", "evaluate", config={"candidate": TUNED}, quick={"limit": 60}),
        REPORT,
    ),
    (
        NO_LEAKAGE,
        build_gate(
            "improvement",
            "evaluate",
            "exact_match_delta",
            Comparison.ABOVE,
            0.20,
            "Tuned beats base: the paired 95% interval is above +0.20",
            "微调模型优于基座模型：配对 95% 置信区间整体高于 +0.20",
            bound="low",
        ),
        build_gate(
            "loss_fell",
            "sft",
            "validation_loss_drop",
            Comparison.ABOVE,
            0,
            "Validation loss fell",
            "验证损失下降",
        ),
        build_gate(
            "export_agrees",
            "inference",
            "agreement",
            Comparison.AT_LEAST,
            1.0,
            "Adapter and merged model give equal answers in a new process",
            "适配器与合并模型在新进程中给出相同回答",
        ),
    ),
    data_uri=MIXED_DATA,
    proves="effect",
)
