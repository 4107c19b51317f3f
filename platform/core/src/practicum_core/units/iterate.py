"""The unit ``iterate``: failures become better data, and the retrained model is compared with the one before."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from practicum_core.gates import Comparison
from practicum_core.units.sft import SFT_QUICK
from practicum_core.units.shared_steps import MIXED_DATA, MODEL, REPORT
from practicum_core.units.unit import Step, Unit, build_gate

_RETRAINED = "run:stages/dpo/artifacts/merged"
_DPO_QUICK = {
    "num_epochs": 3,
    "batch_size": 4,
    "eval_steps": 4,
    "save_steps": 4,
    "num_sample_prompts": 1,
    "sample_max_new_tokens": 40,
}


def build_iteration(
    evaluation: str,
    tuned: str,
    *,
    steps: tuple[str, str] = ("analyze", "evaluate"),
    data: Mapping[str, str] = MappingProxyType({}),
) -> tuple[Step, ...]:
    """Return the steps that repair the data, retrain and compare.

    Args:
        evaluation: Where the steps of the evaluation lie: ``run:stages``, or a reference to an earlier run.
        tuned: The model whose failures are repaired.
        steps: Those that wrote the failures and the samples.
        data: The option ``data`` of the step ``iterate``, where it is not that of the run.
    """
    failures, samples = steps
    return (
        Step(
            "iterate",
            "iterate",
            config={
                "failures": f"{evaluation}/{failures}/failures.jsonl",
                "samples": f"{evaluation}/{samples}/samples.jsonl",
                **data,
            },
            quick={"train_rows": SFT_QUICK["train_rows"], "fresh_rows": 140},
        ),
        Step(
            "snapshot-enlarged",
            "snapshot",
            config={
                "data": "run:stages/iterate/artifacts/data",
                # Rows that failed are trained on: what was looked at is no longer a test set.
                "waive_leakage": [f"{kind}:train-test" for kind in ("exact", "near", "ngram")],
            },
        ),
        Step(
            "sft",
            "sft",
            config={"num_epochs": 3, "decision": "run:stages/iterate/artifacts/retrain.json", "otherwise": tuned},
            # One epoch of as many rows is what the unit sft trains: the same recipe, so that the data alone differ.
            quick={key: value for key, value in SFT_QUICK.items() if key not in {"train_rows", "max_steps"}}
            | {"num_epochs": 1},
        ),
        Step(
            "dpo",
            "dpo",
            config={
                "model": "run:stages/sft/artifacts/merged",
                "pairs": "run:stages/iterate/artifacts/pairs",
                "decision": "run:stages/iterate/artifacts/prefer.json",
                "num_epochs": 3,
                "batch_size": 4,
            },
            quick=_DPO_QUICK,
        ),
        Step(
            "evaluate-fresh",
            "evaluate",
            config={"model": tuned, "candidate": _RETRAINED, "split": "fresh", "control_split": "control"},
            quick={"control_limit": 60},
        ),
        Step(
            "compare-fresh",
            "compare",
            config={
                "samples": "run:stages/evaluate-fresh/samples.jsonl",
                "item_slice": "run:stages/iterate/artifacts/slice.json",
            },
        ),
        Step("evaluate-seen", "evaluate", config={"model": tuned, "candidate": _RETRAINED}),
        Step("analyze-seen", "analyze", config={"samples": "run:stages/evaluate-seen/samples.jsonl"}),
    )


ITERATION_GATES = (
    build_gate(
        "lineage",
        "iterate",
        "unlinked_rows",
        Comparison.EQUAL,
        0,
        "Every new row names the failure that it came from",
        "每条新样本都注明所来自的失败样本",
    ),
    build_gate(
        "no_leakage_enlarged",
        "snapshot-enlarged",
        "unwaived_leaks",
        Comparison.EQUAL,
        0,
        "No row of the fresh split or the control set is in the enlarged training data",
        "扩充后的训练数据中没有新划分或对照集的样本",
    ),
    build_gate(
        "slice_improved",
        "compare-fresh",
        "slice_improved",
        Comparison.EQUAL,
        1,
        "The retrained model is better on the failing slice of the fresh split",
        "在新划分的失败切片上，重新训练的模型更好",
        is_optional=True,  # measured only if there is something to repair
    ),
    build_gate(
        "fresh_kept",
        "compare-fresh",
        "verdict_regressed",
        Comparison.EQUAL,
        0,
        "No regression is seen on the fresh split (too few items pass as well)",
        "新划分上未见变差（样本不足时也会通过）",
    ),
    build_gate(
        "control_kept_again",
        "compare-fresh",
        "control_regressed",
        Comparison.EQUAL,
        0,
        "No regression against the model before is seen on the control set (too few items pass as well)",
        "与此前的模型相比，对照集上未见变差（样本不足时也会通过）",
    ),
)

ITERATE = Unit(
    "iterate",
    "Preferences and data iteration",
    "偏好优化与数据迭代",
    "Turn the failures of the last evaluation into better data, retrain, and prove the repair on fresh rows.",
    "将上次评测的失败样本变成更好的数据，重新训练，并在全新的样本上证明修复有效。",
    ("W5.1", "W5.2", "W5.3"),
    (MODEL, *build_iteration("latest:evaluate/stages", "latest:sft/merged"), REPORT),
    ITERATION_GATES,
    data_uri=MIXED_DATA,
    proves="effect",
)
