"""The unit ``capstone-extended``: the capstone, a replay of recorded traffic against two models, and an iteration."""

from __future__ import annotations

from dataclasses import replace

from practicum_core.gates import Comparison
from practicum_core.units.capstone import CAPSTONE
from practicum_core.units.iterate import ITERATION_GATES, build_iteration
from practicum_core.units.shared_steps import REPORT
from practicum_core.units.unit import Step, Unit, build_gate

_BEFORE, _AFTER = "latest:sft/merged", "latest:iterate/merged"
_DATA = "latest:iterate/stages/iterate/artifacts/data"
_WAIVED = [f"{kind}:train-test" for kind in ("exact", "near", "ngram")]
"""Rows of week 4 that failed and were trained on in week 5: nothing here is scored on them."""
_MORE_WEEKS = ("alignment-risk", "performance")
"""Weeks that only this course has."""
_SHOWN = ["replayeval", "compare-replay", "analyze-replay", "iterate", "compare-fresh"]
_SERVER = {"kv_cache_gib": 0.25, "max_num_seqs": 8, "max_model_len": 1024}


def _extend(step: Step) -> Step:
    """Return the step that checks the chain, over the weeks of this course and with more to show."""
    more = [f"latest:{unit}/evidence/evidence.json" for unit in _MORE_WEEKS]
    return replace(
        step,
        config={
            **step.config,
            "weeks": [*step.config["weeks"], *more],
            "expected": [*step.config["expected"], *_MORE_WEEKS],
            "shown": _SHOWN,
        },
    )


CAPSTONE_EXTENDED = Unit(
    "capstone-extended",
    "Capstone with replay and re-iteration",
    "Capstone 扩展：重放评测与再迭代",
    "Defend the whole chain, replay recorded traffic against two models, and repair what fails once more.",
    "为整条链路答辩，对两个模型重放录制的流量，并再次修复其中的失败。",
    ("V12.3",),
    (
        *(step for step in CAPSTONE.steps if step.name not in ("capstone", "report")),
        # The data that week 5 made: its split fresh was never trained on.
        Step(
            "snapshot-traffic",
            "snapshot",
            config={"data": _DATA, "waive_leakage": _WAIVED},
            needs=("loadtest", "compare"),
        ),
        Step("serve-before", "serve", config={**_SERVER, "model": _BEFORE}, needs=("snapshot-traffic",)),
        Step("serve-after", "serve", config={**_SERVER, "model": _AFTER}, needs=("snapshot-traffic",)),
        Step(
            "replayeval",
            "replayeval",
            # Rows that the replay does not ask are left for the proof of the repair.
            config={
                "base_url": "step:serve-before",
                "candidate_url": "step:serve-after",
                "split": "fresh",
                "limit": 200,
            },
            quick={"limit": 60},
            needs=("serve-before", "serve-after"),
        ),
        Step("compare-replay", "compare", config={"samples": "run:stages/replayeval/samples.jsonl"}),
        Step("analyze-replay", "analyze", config={"samples": "run:stages/replayeval/samples.jsonl"}),
        *build_iteration("run:stages", _AFTER, steps=("analyze-replay", "replayeval"), data={"data": _DATA}),
        # The chain is checked on the data of the weeks.
        Step("snapshot-again", "snapshot"),
        *(_extend(step) for step in CAPSTONE.steps if step.name == "capstone"),
        replace(REPORT, config={"max_samples": 80}),
    ),
    (
        *CAPSTONE.gates,
        build_gate(
            "replay_answered",
            "replayeval",
            "num_unanswered",
            Comparison.EQUAL,
            0,
            "Both models answer every request of the replay",
            "两个模型都回答了重放的每个请求",
        ),
        build_gate(
            "replay_on_time",
            "replayeval",
            "late_p99_s",
            Comparison.AT_MOST,
            0.5,
            "The replay sent its requests when they were recorded (99 of 100 within half a second)",
            "重放按录制的时刻发送请求（99% 在半秒以内）",
        ),
        build_gate(
            "replay_kept",
            "compare-replay",
            "verdict_regressed",
            Comparison.EQUAL,
            0,
            "No regression of the later model is seen on the replayed traffic (too few items pass as well)",
            "在重放的流量上未见后来的模型变差（样本不足时也会通过）",
        ),
        # A few dozen fresh rows rarely prove a second repair; that it does no harm, they can show.
        *(gate for gate in ITERATION_GATES if gate.name != "slice_improved"),
        build_gate(
            "slice_kept",
            "compare-fresh",
            "slice_regressed",
            Comparison.EQUAL,
            0,
            "No regression is seen on the kind of rows that failed in the replay",
            "在重放中失败的那类样本上未见变差",
            is_optional=True,  # measured only if there is something to repair
        ),
    ),
    merges=(CAPSTONE.name,),
)
