"""The unit ``capstone``: all weeks as one chain of evidence, with the evaluation and the load test executed again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from practicum_core.gates import Comparison
from practicum_core.units.serving import SERVING
from practicum_core.units.shared_steps import MODEL, NO_LEAKAGE, REPORT, SNAPSHOT
from practicum_core.units.unit import Step, Unit, build_gate

_WEEKS = ("experiments", "data", "sft", "evaluate", "iterate", "quantize", "serving", "availability")
_ANEW: Mapping[str, Any] = {"reuse_answers": False}
"""Kept answers would make a repeated evaluation agree with itself."""

CAPSTONE = Unit(
    "capstone",
    "Capstone",
    "Capstone 全链路答辩",
    "Defend the whole chain: check every hash, evaluate and load-test again, and present effect, performance and risk.",
    "为整条链路答辩：核对每个哈希，重跑评测与压测，并呈现效果、性能与风险证据。",
    ("W10.1", "W10.2", "W10.3"),
    (
        MODEL,
        SNAPSHOT,
        Step("baseline", "evaluate", config=_ANEW, quick={"limit": 60}),
        Step(
            "evaluate",
            "evaluate",
            config={**_ANEW, "candidate": "latest:sft/merged", "control_split": "control", "repeat_rows": 200},
            quick={"limit": 100, "control_limit": 60, "repeat_rows": 40},
        ),
        Step("compare", "compare"),
        *SERVING.steps[:-1],
        Step(
            "capstone",
            "capstone",
            config={
                "weeks": [f"latest:{unit}/evidence/evidence.json" for unit in _WEEKS],
                "expected": list(_WEEKS),
                "reruns": [
                    "baseline=experiments/evaluate",
                    "evaluate=evaluate/evaluate",
                    "compare=evaluate/compare",
                    "loadtest=serving/loadtest",
                ],
            },
        ),
        REPORT,
    ),
    (
        NO_LEAKAGE,
        build_gate(
            "weeks_present",
            "capstone",
            "num_absent_weeks",
            Comparison.EQUAL,
            0,
            "Every week of the course is presented",
            "呈现了课程的每一周",
        ),
        build_gate(
            "chain_whole",
            "capstone",
            "num_broken_links",
            Comparison.EQUAL,
            0,
            "Every file, artifact, data split and foundation of the weeks is what it was",
            "各周的文件、产物、数据划分与所依据的运行均与当时一致",
        ),
        build_gate(
            "reruns_agree",
            "capstone",
            "num_differing_reruns",
            Comparison.EQUAL,
            0,
            "Every step that was executed again agrees with its record",
            "重新执行的每个步骤均与其记录一致",
        ),
    ),
)
