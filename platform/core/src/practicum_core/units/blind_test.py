"""The units of ``practicum blind``: the page for raters, and the opening of the sealed key."""

from __future__ import annotations

from practicum_core.gates import Comparison
from practicum_core.units.shared_steps import REPORT
from practicum_core.units.unit import Step, Unit, build_gate

BLIND_STEP = Step("blind", "blind")

BLIND_MAKE = Unit(
    "blind",
    "Blind test: the page",
    "盲评：页面",
    "Make a page on which people compare two models without knowing which is which.",
    "生成一个页面，让人在不知道模型身份的情况下比较两个模型。",
    ("W4.1",),
    (BLIND_STEP,),
)

BLIND_REVEAL = Unit(
    "blind-reveal",
    "Blind test: the result",
    "盲评：结果",
    "Open the sealed key and say which model the raters preferred, how sure that is, and how well they agree.",
    "打开封存的密钥，说明评分者更偏好哪个模型、把握有多大、意见有多一致。",
    ("W4.1",),
    (Step("reveal", "reveal"), REPORT),
    (
        build_gate(
            "raters",
            "reveal",
            "raters_kept",
            Comparison.AT_LEAST,
            2,
            "At least two raters passed the attention checks",
            "至少两名评分者通过注意力检查",
        ),
    ),
)
