"""Paired outcomes of two models, by question: the scored split, its slice and tasks, and the control split. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from practicum_core.errors import DataError
from practicum_core.stages.compare import ItemSlice
from practicum_core.stages.evaluate import EvaluationSample, split_samples
from practicum_jobs.scoring.paired import PairedOutcomes
from practicum_jobs.scoring.result_files import CONTROL, ItemResult

_FIX = "evaluate two models: practicum run week-04, or --set evaluate.candidate=URI"


@dataclass(frozen=True)
class Item:
    """One item that both models answered."""

    task: str
    cluster: str
    base: float
    candidate: float
    group: str = ""


@dataclass(frozen=True)
class Questions:
    """What is compared. The control split has its own verdict and is ``None`` where none was scored.

    Attributes:
        split: Name of the scored split.
        whole: All items of the scored split.
        tasks: Its items by task; empty where it has a single task.
        control: Items of the control split, right where the answer names what is expected.
        repeated: Items that the base model answered twice: its two scores. ``None`` where it answered none twice.
        part: Items of the slice that was asked for; ``None`` where none was, or where no item belongs to it.
        is_part_missing: Whether a slice was asked for that names a group or task, and no item belongs to it.
    """

    split: str
    whole: PairedOutcomes
    tasks: Mapping[str, PairedOutcomes]
    control: PairedOutcomes | None
    repeated: PairedOutcomes | None = None
    part: PairedOutcomes | None = None
    is_part_missing: bool = False


def build_questions_of_samples(samples: Sequence[EvaluationSample], part: ItemSlice | None = None) -> Questions:
    """Pair the outcomes of both models in one file of samples.

    The few kinds of control items were chosen, not drawn from many kinds: the verdict is about these kinds, and their
    items are drawn independently within each. Therefore every control item is a cluster of its own.

    Raises:
        DataError: A sample holds the answer of one model only, or there are more than two splits.
    """
    lone = [sample.id for sample in samples if sample.base_correct is None or sample.candidate_correct is None]
    if lone:
        raise DataError(f"{len(lone)} samples hold no answers of two models; the first is {lone[0]}", _FIX)
    splits = list(dict.fromkeys(sample.split for sample in samples))
    if len(splits) > 2:  # noqa: PLR2004 - scored and control
        raise DataError(f"samples of {len(splits)} splits ({', '.join(splits)})", "give one split and a control split")
    scored, control = split_samples(samples)
    questions = build_questions(
        splits[0],
        [
            Item(
                one.task,
                one.group or f"row:{one.id}",
                _count(one.base_correct, one.base_score),
                _count(one.candidate_correct, one.candidate_score),
                one.group,
            )
            for one in scored
        ],
        [
            Item(one.task, f"row:{one.id}", float(bool(one.base_mentioned)), float(bool(one.candidate_mentioned)))
            for one in control
        ],
        part,
    )
    twice = [
        Item(
            one.task,
            one.group or f"row:{one.id}",
            _count(one.base_correct, one.base_score),
            _count(one.again_correct, one.again_score),
        )
        for one in scored
        if one.again_correct is not None
    ]
    return replace(questions, repeated=_pair(twice) if twice else None)


def _count(is_right: bool | None, grade: float | None) -> float:  # noqa: FBT001 - as in the sample
    """Return what a comparison counts: the grade, or 1 and 0 for right and wrong."""
    return float(bool(is_right)) if grade is None else grade


def build_questions_of_files(
    pairs: Sequence[tuple[ItemResult, ItemResult]], part: ItemSlice | None = None
) -> Questions:
    """Pair the results of two files. Items of a split ``control`` are the control set where others are there too.

    As in one file of samples, every control item is a cluster of its own.
    """
    scored = [pair for pair in pairs if pair[0].split != CONTROL] or list(pairs)
    control = [pair for pair in pairs if pair[0].split == CONTROL] if len(scored) < len(pairs) else []
    return build_questions(
        scored[0][0].split or "items",
        [_join(*pair, pair[0].cluster) for pair in scored],
        [_join(*pair, "") for pair in control],
        part,
    )


def build_questions(
    split: str, scored: Sequence[Item], control: Sequence[Item], part: ItemSlice | None = None
) -> Questions:
    """Ask about the whole split, its slice, each of its tasks where it has several, and the control set."""
    names = sorted({item.task for item in scored})
    tasks = {name: [item for item in scored if item.task == name] for name in names} if len(names) > 1 else {}
    chosen = [item for item in scored if part is not None and part.holds(item.task, item.group)]
    return Questions(
        split,
        _pair(scored),
        {name or "untyped": _pair(having) for name, having in tasks.items()},
        _pair(control) if control else None,
        part=_pair(chosen) if chosen else None,
        is_part_missing=part is not None and not part.is_empty and not chosen,
    )


def _join(one: ItemResult, other: ItemResult, cluster: str) -> Item:
    """Join two results; without a cluster, the item is one of its own."""
    return Item(one.task, cluster or f"item:{one.split}/{one.id}", one.score, other.score, cluster)


def _pair(items: Sequence[Item]) -> PairedOutcomes:
    return PairedOutcomes(
        [item.base for item in items], [item.candidate for item in items], [item.cluster for item in items]
    )
