"""The decisions of the stage ``iterate`` by stated criteria: whether to train again, and whether DPO is worth it."""

from __future__ import annotations

from practicum_core.gates import Comparison
from practicum_core.stages.analyze import Cause
from practicum_core.stages.iterate import IterateConfig
from practicum_core.stages.repair import Criterion, Decision
from practicum_core.texts import Bilingual
from practicum_jobs.iterate.material import Material
from practicum_jobs.iterate.pairs import LEAKED, CheckedPairs, are_groups_held_out, hold_out

RETRAIN, PREFER = "retrain", "prefer"
_CUT = frozenset({Cause.EMPTY, Cause.TRUNCATION})
"""Causes that come from decoding or a limit of length: a preference between two texts does not repair them."""

_HELD_OUT = Bilingual("Pairs of other templates, held out for validation", "留作验证的其他模板的偏好对")
_HELD_OUT_SINGLY = Bilingual(
    "Pairs held out for validation, of the same few templates as those trained on",
    "留作验证的偏好对（模板太少，与训练所用的模板相同）",
)


def decide_training(num_new_rows: int) -> Decision:
    """Decide whether there is anything to train on anew."""
    return Decision(
        name=RETRAIN,
        title_en="Fine-tune on the enlarged data?",
        title_zh="是否用扩充后的数据微调？",
        criteria=[
            _require(Bilingual("New training rows", "新训练样本"), num_new_rows, Comparison.AT_LEAST, 1),
        ],
    )


def decide_preferences(material: Material, pairs: CheckedPairs, config: IterateConfig) -> Decision:
    """Decide whether preference training is worth it.

    Few pairs are learned by heart; pairs that are wrong, or whose sides differ in length, teach that instead; and
    answers that are empty or cut off need other settings, not preferences.
    """
    causes = [one.case.cause for one in material.failed]
    cut_ratio = sum(cause in _CUT for cause in causes) / len(causes) if causes else 0.0
    held_out = hold_out(pairs.usable)[1]
    return Decision(
        name=PREFER,
        title_en="Train on preferences (DPO)?",
        title_zh="是否进行偏好训练（DPO）？",
        criteria=[
            _require(
                Bilingual("Usable preference pairs", "可用的偏好对"),
                len(pairs.usable),
                Comparison.AT_LEAST,
                config.min_pairs,
            ),
            _require(
                _HELD_OUT if are_groups_held_out(pairs.usable) else _HELD_OUT_SINGLY,
                len(held_out),
                Comparison.AT_LEAST,
                1,
            ),
            _require(
                Bilingual("Pairs left out: empty, equal, wrong or repeated", "未采用的偏好对：空、相同、有误或重复"),
                pairs.dropped_ratio,
                Comparison.AT_MOST,
                config.max_dropped_ratio,
                is_share=True,
            ),
            _require(
                Bilingual("Pairs in the fresh or control split", "出现在新划分或对照集中的偏好对"),
                len(pairs.found[LEAKED]),
                Comparison.EQUAL,
                0,
            ),
            _require(
                Bilingual("Difference in length of both sides, median", "两侧长度差的中位数"),
                abs(pairs.length_gap),
                Comparison.AT_MOST,
                config.max_length_gap,
                is_share=True,
            ),
            _require(
                Bilingual("Failures that are empty or cut off", "空回答或被截断的失败样本"),
                cut_ratio,
                Comparison.AT_MOST,
                config.max_cut_ratio,
                is_share=True,
            ),
        ],
    )


def _require(
    title: Bilingual, value: float, comparison: Comparison, threshold: float, *, is_share: bool = False
) -> Criterion:
    return Criterion(
        title_en=title.en,
        title_zh=title.zh,
        value=value,
        comparison=comparison,
        threshold=threshold,
        style="share" if is_share else "count",
    )
