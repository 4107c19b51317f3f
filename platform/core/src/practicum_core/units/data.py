"""The unit ``data``: the audit of a data set before anyone trains on it."""

from __future__ import annotations

from practicum_core.gates import Comparison
from practicum_core.units.shared_steps import MODEL, REPORT
from practicum_core.units.unit import Step, Unit, build_gate

DATA = Unit(
    "data",
    "Instruction data and its audit",
    "指令数据与数据审计",
    "Find what is wrong with a data set before training on it, and write a clean copy.",
    "在训练前找出数据集的问题，并输出一份清洗后的副本。",
    ("W2.1", "W2.2", "W2.3"),
    (MODEL, Step("audit", "audit"), REPORT),
    (
        build_gate(
            "rows_read",
            "audit",
            "num_rows",
            Comparison.AT_LEAST,
            1,
            "Rows were read and audited",
            "已读取并审计数据行",
        ),
        build_gate(
            "recall",
            "audit",
            "min_recall",
            Comparison.AT_LEAST,
            0.95,
            "Every class of planted flaws is found: recall at least 0.95",
            "每一类植入缺陷的召回率不低于 0.95",
            is_optional=True,  # measured only if the data names its planted flaws
        ),
        build_gate(
            "precision",
            "audit",
            "min_precision",
            Comparison.AT_LEAST,
            0.95,
            "Flagged rows have the flaw: precision at least 0.95",
            "被标记的样本确有缺陷：精确率不低于 0.95",
            is_optional=True,  # measured only if the data names its planted flaws
        ),
        build_gate(
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
