"""The curriculum as data: units with their steps, gates and course rows, and the weeks of each variant.

It also declares steps whose stage does not exist yet, so that ``practicum weeks`` shows the whole course.
:func:`require_implemented` rejects a unit with such a step.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from practicum_core.errors import ConfigError, Reason, suggest_similar
from practicum_core.gates import Comparison, GateSpec
from practicum_core.stages import STAGES, list_added_packages


@dataclass(frozen=True)
class Step:
    """One stage inside a unit.

    ``config`` applies to every profile. In the quick profile, which is sized for two cores, ``quick`` overrides it.
    ``needs`` names the steps that must have finished (servers: must be ready) before this one starts; by default, the
    step before it.
    """

    name: str
    stage: str
    config: Mapping[str, Any] = field(default_factory=dict)
    quick: Mapping[str, Any] = field(default_factory=dict)
    needs: tuple[str, ...] | None = None

    @property
    def is_presentation(self) -> bool:
        """Whether its stage only presents the results of other steps."""
        return self.stage in STAGES and STAGES[self.stage].is_presentation

    @property
    def is_server(self) -> bool:
        """Whether its stage is a server."""
        return self.stage in STAGES and STAGES[self.stage].is_server


@dataclass(frozen=True)
class Unit:
    """The content of one week."""

    name: str
    title_en: str
    title_zh: str
    goal_en: str
    goal_zh: str
    requirements: tuple[str, ...]
    steps: tuple[Step, ...]
    gates: tuple[GateSpec, ...] = ()
    data_uri: str = "builtin:tickets"

    @property
    def is_implemented(self) -> bool:
        """Whether every step's stage exists in this version."""
        return all(step.stage in STAGES for step in self.steps)


MODEL = Step("model", "model")
SNAPSHOT = Step("snapshot", "snapshot")
REPORT = Step("report", "report")

TUNED = "run:stages/sft/artifacts/merged"


def _gate(  # noqa: PLR0913 - a row of a table
    name: str,
    step: str,
    metric: str,
    comparison: Comparison,
    threshold: float,
    title_en: str,
    title_zh: str,
    *,
    bound: str = "value",
    is_optional: bool = False,
) -> GateSpec:
    return GateSpec.model_validate(
        {
            "name": name,
            "step": step,
            "metric": metric,
            "comparison": comparison,
            "threshold": threshold,
            "bound": bound,
            "is_optional": is_optional,
            "title_en": title_en,
            "title_zh": title_zh,
        }
    )


NO_LEAKAGE = _gate(
    "no_leakage",
    "snapshot",
    "unwaived_leaks",
    Comparison.EQUAL,
    0,
    "No evaluation row is in the training data",
    "训练数据中没有评测样本",
)

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
        _gate(
            "baseline_rows",
            "evaluate",
            "num_rows",
            Comparison.AT_LEAST,
            50,
            "The baseline is measured on at least 50 rows",
            "基线至少在 50 条样本上测得",
        ),
        _gate(
            "baseline_interval",
            "evaluate",
            "exact_match_interval_width",
            Comparison.AT_MOST,
            0.3,
            "The baseline's 95% interval is at most 0.3 wide",
            "基线的 95% 置信区间宽度不超过 0.3",
        ),
    ),
)

DATA = Unit(
    "data",
    "Instruction data and its audit",
    "指令数据与数据审计",
    "Find what is wrong with a data set before training on it, and write a clean copy.",
    "在训练前找出数据集的问题，并输出一份清洗后的副本。",
    ("W2.1", "W2.2", "W2.3"),
    (MODEL, Step("audit", "audit"), REPORT),
    (
        _gate(
            "rows_read",
            "audit",
            "num_rows",
            Comparison.AT_LEAST,
            1,
            "Rows were read and audited",
            "已读取并审计数据行",
        ),
        _gate(
            "recall",
            "audit",
            "min_recall",
            Comparison.AT_LEAST,
            0.95,
            "Every class of planted flaws is found: recall at least 0.95",
            "每一类植入缺陷的召回率不低于 0.95",
            is_optional=True,  # measured only if the data names its planted flaws
        ),
        _gate(
            "precision",
            "audit",
            "min_precision",
            Comparison.AT_LEAST,
            0.95,
            "Flagged rows have the flaw: precision at least 0.95",
            "被标记的样本确有缺陷：精确率不低于 0.95",
            is_optional=True,  # measured only if the data names its planted flaws
        ),
        _gate(
            "clean_copy",
            "audit",
            "clean_copy_failures",
            Comparison.EQUAL,
            0,
            "The clean copy passes the same audit",
            "清洗后的副本通过同一审计",
        ),
    ),
    data_uri="builtin:tickets-flawed",
)

SFT_QUICK: Mapping[str, Any] = {
    "train_rows": 320,
    "validation_rows": 24,
    "max_steps": 40,
    "batch_size": 8,
    "learning_rate": 1e-3,  # a small model tolerates a high rate, and few steps need one
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
        _gate(
            "improvement",
            "evaluate",
            "exact_match_delta",
            Comparison.ABOVE,
            0.20,
            "Tuned beats base: the paired 95% interval is above +0.20",
            "微调模型优于基座模型：配对 95% 置信区间整体高于 +0.20",
            bound="low",
        ),
        _gate(
            "loss_fell",
            "sft",
            "validation_loss_drop",
            Comparison.ABOVE,
            0,
            "Validation loss fell",
            "验证损失下降",
        ),
        _gate(
            "export_agrees",
            "inference",
            "agreement",
            Comparison.AT_LEAST,
            1.0,
            "Adapter and merged model give equal answers in a new process",
            "适配器与合并模型在新进程中给出相同回答",
        ),
    ),
)

DATA_AND_SFT = Unit(
    "data-and-sft",
    "Data and LoRA in one week",
    "数据准备与 LoRA 微调",
    "Audit the training data, train an adapter, and prove on unseen rows that the tuned model beats the base model.",
    "先审计训练数据，再训练适配器，并在未见过的样本上证明微调模型优于基座模型。",
    ("V8.1",),
    (MODEL, SNAPSHOT, Step("audit", "audit"), *SFT.steps[2:]),
    (*DATA.gates, *SFT.gates),
)


def _declared(name: str, en: str, zh: str, requirements: tuple[str, ...], stages: tuple[str, ...]) -> Unit:
    return Unit(name, en, zh, en, zh, requirements, tuple(Step(stage, stage) for stage in stages))


_UNITS = (
    EXPERIMENTS,
    DATA,
    SFT,
    _declared(
        "evaluate", "Proving that it got better", "微调评测", ("W4.1", "W4.2", "W4.3", "W4.4"), ("evaluate", "iterate")
    ),
    _declared(
        "iterate", "Preferences and data iteration", "偏好优化与数据迭代", ("W5.1", "W5.2", "W5.3"), ("dpo", "iterate")
    ),
    _declared("quantize", "Quality, speed and cost of quantization", "量化", ("W6.1", "W6.2", "W6.3"), ("quantize",)),
    _declared("serving", "Serving under load", "推理服务化与并发", ("W7.1", "W7.2", "W7.3"), ("serve", "loadtest")),
    _declared(
        "availability",
        "Observability, replay and degradation",
        "线上可用性",
        ("W8.1", "W8.2", "W8.3", "W8.4", "W8.5"),
        ("serve", "loadtest", "chaos"),
    ),
    _declared("dossier", "Reading source and debugging", "源码阅读与问题档案", ("W9.1", "W9.2", "W9.3"), ("dossier",)),
    _declared("capstone", "Capstone", "Capstone 全链路答辩", ("W10.1", "W10.2", "W10.3"), ("capstone",)),
    DATA_AND_SFT,
    _declared(
        "evaluate-and-iterate", "Evaluation and one iteration", "评测与轻量迭代", ("V8.2",), ("evaluate", "iterate")
    ),
    _declared("availability-brief", "Minimal availability", "最小线上可用性", ("V8.3",), ("serve", "chaos")),
    _declared("alignment-risk", "Data quality and alignment risk", "数据质量与对齐风险", ("V12.1",), ("redteam",)),
    _declared("performance", "Performance deep dive", "性能深挖", ("V12.2",), ("profile",)),
    _declared(
        "capstone-extended",
        "Capstone with replay and re-iteration",
        "Capstone 扩展",
        ("V12.3",),
        ("capstone", "iterate"),
    ),
)


def _find_added_units() -> Iterator[Unit]:
    """Find the units of the packages that add stages to this installation."""
    for package in list_added_packages():
        yield from importlib.import_module(f"{package}.units").UNITS


UNITS: dict[str, Unit] = {unit.name: unit for unit in _UNITS}


def _audit_unit(name: str, steps: tuple[Step, ...]) -> Unit:
    en, zh = "Audit of data files", "数据文件审计"
    return Unit(name, en, zh, "Find what is wrong with a data file.", "找出数据文件中的问题。", ("W2.2",), steps)


TOOLS: dict[str, Unit] = {
    unit.name: unit
    for unit in (
        _audit_unit("audit", (Step("audit", "audit", config={"model": None}),)),
        _audit_unit("audit-tokens", (MODEL, Step("audit", "audit"))),
    )
}
"""Units that commands run outside the weeks: the audit without and with the tokenizer of a model."""

_TEN = (
    "experiments",
    "data",
    "sft",
    "evaluate",
    "iterate",
    "quantize",
    "serving",
    "availability",
    "dossier",
    "capstone",
)
VARIANTS: dict[int, tuple[str, ...]] = {
    8: (
        "experiments",
        "data-and-sft",
        "evaluate-and-iterate",
        "quantize",
        "serving",
        "availability-brief",
        "dossier",
        "capstone",
    ),
    10: _TEN,
    12: (
        "experiments",
        "data",
        "alignment-risk",
        "sft",
        "evaluate",
        "iterate",
        "quantize",
        "serving",
        "performance",
        "availability",
        "dossier",
        "capstone-extended",
    ),
}
"""The units of each week, in order, by length of the course in weeks."""


def list_declared_stages() -> list[str]:
    """List the stages of the curriculum that this version does not have yet."""
    return sorted({step.stage for unit in UNITS.values() for step in unit.steps} - STAGES.keys())


def require_implemented(unit: Unit) -> None:
    """Reject a unit with a stage that does not exist yet.

    Raises:
        ConfigError: A stage does not exist (``StageNotImplemented``); the message names it.
    """
    missing = [step.stage for step in unit.steps if step.stage not in STAGES]
    if missing:
        raise ConfigError(
            f"stage '{missing[0]}' is part of the course but not of this version",
            "`practicum weeks` shows the weeks that run",
            Reason.STAGE_NOT_IMPLEMENTED,
        )


_WEEK = re.compile(r"week-([0-9]{2})")


def get_unit(name: str, variant: int = 10) -> Unit:
    """Return a unit by its name, or by ``week-NN`` of the variant.

    Raises:
        ConfigError: There is no such unit or week.

    >>> get_unit("week-03").name
    'sft'
    """
    if variant not in VARIANTS:
        raise ConfigError(f"unknown variant {variant}", "variants: 8, 10, 12")
    weeks = VARIANTS[variant]
    if found := UNITS.get(name) or TOOLS.get(name):
        return found
    match = _WEEK.fullmatch(name)
    if match and 1 <= int(match[1]) <= len(weeks):
        return UNITS[weeks[int(match[1]) - 1]]
    known = [*UNITS, *(f"week-{number:02d}" for number in range(1, len(weeks) + 1))]
    raise ConfigError(
        f"unknown unit '{name}'{suggest_similar(name, known)}", "`practicum weeks` lists the weeks and their units"
    )


# At the end of the module, because the added modules import classes of this one.
UNITS.update({unit.name: unit for unit in _find_added_units()})
