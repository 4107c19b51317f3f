"""The unit ``evaluate-and-iterate``: the units ``evaluate`` and ``iterate`` in one week."""

from __future__ import annotations

from dataclasses import replace

from practicum_core.units.evaluate import EVALUATE
from practicum_core.units.iterate import ITERATION_GATES, build_iteration
from practicum_core.units.shared_steps import MIXED_DATA, REPORT
from practicum_core.units.unit import Unit

_TUNED = "latest:data-and-sft/merged"

EVALUATE_AND_ITERATE = Unit(
    "evaluate-and-iterate",
    "Evaluation and one iteration",
    "评测与轻量迭代",
    "Prove whether the tuned model is better, repair its failures in the data, and prove the repair on fresh rows.",
    "证明微调模型是否更好，在数据中修复失败样本，并在全新的样本上证明修复有效。",
    ("V8.2",),
    (
        *(
            replace(step, config={**step.config, "candidate": _TUNED}) if step.name == "evaluate" else step
            for step in EVALUATE.steps
            if step != REPORT
        ),
        *build_iteration("run:stages", _TUNED),
        REPORT,
    ),
    # control_kept stays: the retrained model is compared with the tuned one, so that no other gate sees what the tuned
    # model forgot of the base.
    (*EVALUATE.gates, *ITERATION_GATES),
    data_uri=MIXED_DATA,
    merges=(EVALUATE.name, "iterate"),
    proves="effect",
)
