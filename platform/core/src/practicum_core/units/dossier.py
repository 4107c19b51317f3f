"""The unit ``dossier``: from failures to their causes, and what ``practicum dossier`` runs."""

from __future__ import annotations

from practicum_core.gates import Comparison
from practicum_core.units.shared_steps import REPORT
from practicum_core.units.unit import Step, Unit, build_gate

_REQUIREMENTS = ("W9.1", "W9.2", "W9.3")

DOSSIER = Unit(
    "dossier",
    "Reading source and debugging",
    "源码阅读与问题档案",
    "Take failures from a symptom to a cause, a fix and a regression test, with every execution on record.",
    "将失败从症状追到原因、修复与回归测试，并记录每一次执行。",
    _REQUIREMENTS,
    (Step("dossier", "dossier", quick={"exercises": ["nan-row", "time-zone"], "repeats": 3}), REPORT),
    (
        build_gate(
            "dossiers",
            "dossier",
            "num_dossiers",
            Comparison.AT_LEAST,
            1,
            "There is at least one dossier",
            "至少有一份档案",
        ),
        build_gate(
            "reproduces",
            "dossier",
            "not_reproduced",
            Comparison.EQUAL,
            0,
            "Every repro shows the symptom each time, in a clean environment",
            "每个复现程序在干净环境中每次都出现症状",
        ),
        build_gate(
            "cause",
            "dossier",
            "causes_missed",
            Comparison.EQUAL,
            0,
            "Every cause is named, and is the known one where one is known",
            "每个原因都已指认；已知原因者与之一致",
        ),
        build_gate(
            "red_before",
            "dossier",
            "not_red_before",
            Comparison.EQUAL,
            0,
            "Every regression test fails without the fix",
            "每个回归测试在修复前失败",
        ),
        build_gate(
            "green_after",
            "dossier",
            "not_green_after",
            Comparison.EQUAL,
            0,
            "Every regression test passes with the fix, and the repro ends well",
            "每个回归测试在修复后通过，且复现程序正常结束",
        ),
    ),
)

DOSSIER_STEP = Unit(
    "dossier-step",
    "One step of a dossier",
    "档案的一个步骤",
    "Begin, execute, search or close one dossier.",
    "新建、执行、查找或关闭一份档案。",
    _REQUIREMENTS,
    (Step("dossier", "dossier"),),
)
"""What ``practicum dossier new|run|bisect|close`` runs."""
