"""The unit ``data-and-sft``: the units ``data`` and ``sft`` in one week."""

from __future__ import annotations

from practicum_core.units.data import DATA
from practicum_core.units.sft import SFT
from practicum_core.units.shared_steps import MIXED_DATA, MODEL, SNAPSHOT
from practicum_core.units.unit import Step, Unit

DATA_AND_SFT = Unit(
    "data-and-sft",
    "Data and LoRA in one week",
    "数据准备与 LoRA 微调",
    "Audit the training data, train an adapter, and prove on unseen rows that the tuned model beats the base model.",
    "先审计训练数据，再训练适配器，并在未见过的样本上证明微调模型优于基座模型。",
    ("V8.1",),
    (MODEL, SNAPSHOT, Step("audit", "audit"), *SFT.steps[2:]),
    (*DATA.gates, *SFT.gates),
    data_uri=MIXED_DATA,
    merges=(DATA.name, SFT.name),
    proves="effect",
)
