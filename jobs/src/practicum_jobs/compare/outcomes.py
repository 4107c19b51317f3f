"""Paired outcomes of two models, by question: the scored split, each of its tasks, and the control split. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from practicum_core.errors import DataError
from practicum_core.stages.evaluate import EvaluationSample
from practicum_jobs.scoring.paired import PairedOutcomes
from practicum_jobs.scoring.result_files import ItemResult

_CONTROL = "control"
_FIX = "evaluate two models: practicum run week-04, or --set evaluate.candidate=URI"


@dataclass(frozen=True)
class Questions:
    """What is compared. The control split has its own verdict and is ``None`` where none was scored.

    Attributes:
        split: Name of the scored split.
        whole: All items of the scored split.
        tasks: Its items by task; empty where it has a single task.
        control: Items of the control split, right where the answer names what is expected.
    """

    split: str
    whole: PairedOutcomes
    tasks: Mapping[str, PairedOutcomes]
    control: PairedOutcomes | None


def build_questions(samples: Sequence[EvaluationSample]) -> Questions:
    """Pair the outcomes of both models.

    The first sample's split is the scored one, as ``evaluate`` writes it; the other is the control split.

    Raises:
        DataError: A sample holds the answer of one model only, or there are more than two splits.
    """
    lone = [sample.id for sample in samples if sample.base_correct is None or sample.candidate_correct is None]
    if lone:
        raise DataError(f"{len(lone)} samples hold no answers of two models; the first is {lone[0]}", _FIX)
    splits = list(dict.fromkeys(sample.split for sample in samples))
    if len(splits) > 2:  # noqa: PLR2004 - scored and control
        raise DataError(f"samples of {len(splits)} splits ({', '.join(splits)})", "give one split and a control split")
    scored = [sample for sample in samples if sample.split == splits[0]]
    control = [sample for sample in samples if sample.split != splits[0]]
    names = sorted({sample.task for sample in scored})
    tasks = {name: [one for one in scored if one.task == name] for name in names} if len(names) > 1 else {}
    return Questions(
        splits[0],
        _pair(scored),
        {name or "untyped": _pair(having) for name, having in tasks.items()},
        _pair_control(control) if control else None,
    )


def build_questions_of_files(pairs: Sequence[tuple[ItemResult, ItemResult]]) -> Questions:
    """Pair the results of two files. Items of a split ``control`` are the control set where others are there too."""
    scored = [pair for pair in pairs if pair[0].split != _CONTROL] or list(pairs)
    control = [pair for pair in pairs if pair[0].split == _CONTROL] if len(scored) < len(pairs) else []
    names = sorted({one.task for one, _ in scored})
    tasks = {name: [pair for pair in scored if pair[0].task == name] for name in names} if len(names) > 1 else {}
    return Questions(
        scored[0][0].split or "items",
        _pair_results(scored),
        {name or "untyped": _pair_results(having) for name, having in tasks.items()},
        _pair_results(control) if control else None,
    )


def _pair_results(pairs: Sequence[tuple[ItemResult, ItemResult]]) -> PairedOutcomes:
    return PairedOutcomes(
        [one.score for one, _ in pairs],
        [other.score for _, other in pairs],
        [one.cluster or f"item:{one.split}/{one.id}" for one, _ in pairs],
    )


def _pair(samples: Sequence[EvaluationSample]) -> PairedOutcomes:
    return PairedOutcomes(
        [float(bool(one.base_correct)) for one in samples],
        [float(bool(one.candidate_correct)) for one in samples],
        _list_clusters(samples),
    )


def _pair_control(samples: Sequence[EvaluationSample]) -> PairedOutcomes:
    """Take every control item for itself.

    The few kinds of control items were chosen, not drawn from many kinds: the verdict is about these kinds, and their
    items are drawn independently within each.
    """
    return PairedOutcomes(
        [float(bool(one.base_mentioned)) for one in samples],
        [float(bool(one.candidate_mentioned)) for one in samples],
        [f"{one.split}/{one.id}" for one in samples],
    )


def _list_clusters(samples: Sequence[EvaluationSample]) -> list[str]:
    """An item without a group is a cluster of its own."""
    return [one.group or f"row:{one.id}" for one in samples]
