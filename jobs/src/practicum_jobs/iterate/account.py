"""What the evidence pack says of repaired data: which rows each split gained, and which figures are clean. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from practicum_core.rows import Row
from practicum_core.stages.iterate import RowKind
from practicum_core.stages.repair import Origin, SplitChange, SplitClaim
from practicum_core.texts import Bilingual
from practicum_jobs.iterate.fresh import FreshSplit
from practicum_jobs.iterate.material import Material
from practicum_jobs.iterate.pairs import CheckedPairs
from practicum_jobs.iterate.rows import LinkedRow

_KEPT = Bilingual("rows of before", "原有样本")
_ADDED: dict[RowKind, Bilingual] = {
    "reference": Bilingual("failed prompts with their reference answers", "失败的提示词与参考答案"),
    "variant": Bilingual("the same with other numbers", "同样的内容，换用其他数字"),
    "general": Bilingual("general questions against forgetting", "防止遗忘的通用问题"),
}
_PAIRS = Bilingual("reference answer over the model's own wrong answer", "参考答案优于模型自己的错误回答")
_UNUSABLE = Bilingual("pairs with a defect", "有缺陷的偏好对")
_OVERLAPPING = Bilingual("rows that overlap with known rows", "与已知样本重叠的样本")
_SEEN = Bilingual(
    "its failures were looked at, and {count} of its rows are trained on now",
    "其中的失败样本已被查看，且有 {count} 条现已参与训练",
)
_CONTROL = Bilingual(
    "never trained on; its failures were looked at to add general questions of other kinds",
    "从未参与训练；查看其失败样本只是为了加入其他类型的通用问题",
)


def list_changes(
    material: Material, kept: Sequence[Row], new: Sequence[LinkedRow], pairs: CheckedPairs, fresh: FreshSplit
) -> list[SplitChange]:
    """List what each split keeps, gains and leaves out."""
    changes = [_build_change("train", len(kept), "kept", _KEPT)]
    for kind, title in _ADDED.items():
        changes.append(_build_change("train", sum(one.kind == kind for one in new), "added", title))
    changes += [
        _build_change("pairs", len(pairs.usable), "added", _PAIRS),
        _build_change("pairs", len(pairs.all) - len(pairs.usable), "left_out", _UNUSABLE),
        _build_change("fresh", len(fresh.rows), "added", fresh.origin),
        _build_change("fresh", fresh.num_left_out, "left_out", _OVERLAPPING),
        _build_change("test", len(material.seen), "kept", _KEPT),
        _build_change("control", len(material.control), "kept", _KEPT),
    ]
    return [change for change in changes if change.num_rows]


def list_claims(material: Material, new: Sequence[LinkedRow], fresh: FreshSplit) -> list[SplitClaim]:
    """Say of each scored split whether figures on it are clean."""
    trained = sum(one.kind == "reference" for one in new)
    claims = [
        _build_claim("fresh", fresh.origin, is_clean=fresh.is_unseen),
        _build_claim("test", _SEEN.format(count=trained), is_clean=False),
    ]
    return [*claims, _build_claim("control", _CONTROL, is_clean=True)] if material.control else claims


def list_origins(material: Material, linked: Sequence[LinkedRow]) -> list[Origin]:
    """List the failures and how many rows and pairs came from each."""
    rows = Counter(one.source.key for one in linked if one.kind != "pair")
    pairs = Counter(one.source.key for one in linked if one.kind == "pair")
    return [
        Origin(
            split=one.case.split,
            id=one.case.id,
            cause=one.case.cause,
            num_rows=rows[one.key],
            num_pairs=pairs[one.key],
        )
        for one in material.failures
    ]


def _build_change(split: str, num_rows: int, change: str, title: Bilingual) -> SplitChange:
    return SplitChange.model_validate(
        {"split": split, "num_rows": num_rows, "change": change, "title_en": title.en, "title_zh": title.zh}
    )


def _build_claim(split: str, title: Bilingual, *, is_clean: bool) -> SplitClaim:
    return SplitClaim(split=split, is_clean=is_clean, title_en=title.en, title_zh=title.zh)
