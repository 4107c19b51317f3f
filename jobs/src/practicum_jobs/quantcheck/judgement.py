"""Judges artifacts: equal to the original within a margin or not, the Pareto front, and a recommendation per task.

Pure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from practicum_core.stages.quantcheck import ORIGINAL, Recommendation, SheetRow, TaskDelta, Verdict
from practicum_core.texts import Bilingual
from practicum_jobs.scoring.equivalence import compare_to_margin
from practicum_jobs.scoring.paired import PairedOutcomes, estimate_difference_of_means

_MEBIBYTE = 2**20


@dataclass(frozen=True)
class TaskScores:
    """Which items of a task were right, by artifact, and the cluster of each item."""

    outcomes: Mapping[str, Sequence[bool]]
    clusters: Sequence[str]


def judge_task(task: str, scores: TaskScores, name: str, margin: float) -> TaskDelta:
    """Compare an artifact with the original on one task.

    ``equivalent`` where two one-sided tests show a difference below the margin, ``worse`` or ``better`` where the 95%
    interval leaves out zero, else ``unclear``. An artifact may be worse and equivalent: then it is equivalent, because
    the margin says which difference matters.
    """
    original = [float(one) for one in scores.outcomes[ORIGINAL]]
    artifact = [float(one) for one in scores.outcomes[name]]
    outcomes = PairedOutcomes(original, artifact, scores.clusters)
    equivalence = compare_to_margin(outcomes, margin)
    interval = estimate_difference_of_means(outcomes, 0.95).interval
    verdict: Verdict = "unclear"
    if equivalence.is_equivalent:
        verdict = "equivalent"
    elif interval.high < 0:
        verdict = "worse"
    elif interval.low > 0:
        verdict = "better"
    return TaskDelta(
        task=task,
        num_items=len(original),
        num_clusters=len(set(scores.clusters)),
        original=sum(original) / len(original),
        artifact=sum(artifact) / len(artifact),
        difference=equivalence.interval.value,
        low=max(equivalence.interval.low, -1.0),
        high=min(equivalence.interval.high, 1.0),
        verdict=verdict,
        num_lost=sum(before > after for before, after in zip(original, artifact, strict=True)),
        num_gained=sum(before < after for before, after in zip(original, artifact, strict=True)),
    )


def find_front(points: Mapping[str, tuple[float, float]]) -> set[str]:
    """Return the names that no other point beats in both values, of which smaller is better.

    >>> sorted(find_front({"a": (1, 9), "b": (2, 3), "c": (3, 3), "d": (9, 1)}))
    ['a', 'b', 'd']
    """
    return {
        name
        for name, (x, y) in points.items()
        if not any(
            other_x <= x and other_y <= y and (other_x, other_y) != (x, y) for other_x, other_y in points.values()
        )
    }


def recommend(task: str, rows: Sequence[SheetRow]) -> Recommendation:
    """Recommend the smallest artifact that equals the original on a task; the original where none was shown to.

    Where the original answers nothing right, any file equals it, however broken: that recommends no file.
    """
    original = next(row for row in rows if row.name == ORIGINAL)
    judged = [(row, delta) for row in rows for delta in row.tasks if delta.task == task and row.name != ORIGINAL]
    equal = [(row, delta) for row, delta in judged if delta.verdict in ("equivalent", "better")]
    is_answered = any(delta.original > 0 for _, delta in judged)
    if not equal or not is_answered:
        reason = _explain_none([delta for _, delta in judged])
        return Recommendation(task=task, name=ORIGINAL, reason_en=reason.en, reason_zh=reason.zh)
    row, delta = min(equal, key=lambda pair: (pair[0].disk_bytes, pair[0].name))
    reason = _explain_choice(row, delta, original, len(equal))
    return Recommendation(task=task, name=row.name, reason_en=reason.en, reason_zh=reason.zh)


def _explain_choice(row: SheetRow, delta: TaskDelta, original: SheetRow, num_equal: int) -> Bilingual:
    speed = max(row.tokens_per_s.values(), default=0.0)
    other = max(original.tokens_per_s.values(), default=0.0)
    return Bilingual(
        "smallest of {count} that equal the original within the margin: {size:.0f} MiB instead of {whole:.0f} MiB,"
        " right on {right:.1%} instead of {base:.1%} of {items} items (difference {low:+.1f} to {high:+.1f} points),"
        " highest throughput {speed:.0f} instead of {other:.0f} tokens/s",
        "在误差允许范围内与原模型等效的 {count} 个中体积最小：{size:.0f} MiB（原模型 {whole:.0f} MiB），"
        "{items} 个样本上正确率 {right:.1%}（原模型 {base:.1%}，差异区间 {low:+.1f} 至 {high:+.1f} 百分点），"
        "最高吞吐 {speed:.0f} 词元/秒（原模型 {other:.0f}）",
    ).format(
        count=num_equal,
        size=row.disk_bytes / _MEBIBYTE,
        whole=original.disk_bytes / _MEBIBYTE,
        right=delta.artifact,
        base=delta.original,
        items=delta.num_items,
        low=100 * delta.low,
        high=100 * delta.high,
        speed=speed,
        other=other,
    )


def _explain_none(deltas: Sequence[TaskDelta]) -> Bilingual:
    items = max((one.num_items for one in deltas), default=0)
    if deltas and not any(delta.original > 0 for delta in deltas):
        return Bilingual(
            "keep the original: the original answers none of {items} items, so nothing shows what an artifact loses",
            "保留原模型：原模型对 {items} 个样本一个也没有答对，无法据此判断量化损失",
        ).format(items=items)
    worse = sum(delta.verdict == "worse" for delta in deltas)
    unclear = sum(delta.verdict == "unclear" for delta in deltas)
    return Bilingual(
        "keep the original: of {count} artifacts {worse} are worse and {unclear} could not be shown to be equal with"
        " {items} items",
        "保留原模型：{count} 个量化模型中 {worse} 个变差，{unclear} 个在 {items} 个样本下无法证明等效",
    ).format(count=len(deltas), worse=worse, unclear=unclear, items=items)
