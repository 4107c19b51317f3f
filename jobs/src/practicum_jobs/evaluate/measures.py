"""The metrics, samples and failures of an evaluation, computed from rows and scores. Pure.

Metrics of the split have these names. With a candidate, the metrics of the two models end in ``_base`` and ``_tuned``.

- ``exact_match``: share of rows whose whole answer is right, with its interval; with a candidate, of the candidate.
  ``exact_match_TASK`` if the split holds several tasks.
- ``json_valid``, ``field_NAME``: over the rows whose expected answer is JSON.
- ``exact_match_delta``, ``wins``, ``losses``: the candidate compared with the base, row by row. Whether the
  difference is significant is for the stage ``compare`` to say, whose tests know the groups of rows.
- ``mean_score``: over the rows whose scorer gives a grade (chrF, ROUGE).
- ``control_mentioned_*``: share of control rows whose answer mentions the expected words. The check is lenient,
  because the control split measures whether knowledge was lost, not whether the form of an answer changed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from practicum_core.metrics import Metric
from practicum_core.name_lists import name_first
from practicum_core.rows import Row
from practicum_core.stages.base import Failure
from practicum_core.stages.evaluate import EvaluationSample
from practicum_jobs.evaluate.answering import GivenAnswer
from practicum_jobs.scoring.answers import Score
from practicum_jobs.scoring.intervals import (
    Bootstrap,
    Interval,
    estimate_difference,
    estimate_share,
)

MAX_NAMED_ROWS = 8
"""Maximum number of row ids in the text of a failure."""

_FAILURE_TEXTS = {
    "not_json": "not one JSON object",
    "wrong_keys": "the JSON has other keys than expected",
    "empty": "empty",
    "wrong_text": "the text is not the expected one",
    "no_match": "the pattern finds nothing",
    "wrong_match": "what the pattern finds is not the expected text",
    "no_number": "no number",
    "wrong_number": "the number is not the expected one",
    "low_chrf": "chrF is below the threshold",
    "low_rouge": "ROUGE is below the threshold",
    "wrong_choice": "another choice is more probable",
    "tests_failed": "the code fails its tests",
    "tests_timeout": "the tests of the code ran out of time",
}


@dataclass(frozen=True)
class Scored:
    """Rows of one split with the scores of the base model and, if there is one, of the candidate."""

    rows: Sequence[Row]
    base: Sequence[Score]
    tuned: Sequence[Score] | None = None

    @property
    def groups(self) -> list[str]:
        """Groups for the bootstrap; a row without a group is a group of its own."""
        return [row.group or f"row:{row.id}" for row in self.rows]

    @property
    def final(self) -> Sequence[Score]:
        """Scores of the evaluated model: of the candidate, or of the base model if there is no candidate."""
        return self.base if self.tuned is None else self.tuned


@dataclass(frozen=True)
class Statistics:
    """How intervals are computed."""

    confidence: float
    bootstrap: Bootstrap

    def estimate(self, outcomes: Sequence[bool], groups: Sequence[str]) -> Interval:
        """Return a share with its interval."""
        return estimate_share(outcomes, groups, self.bootstrap, self.confidence)

    def compare(self, base: Sequence[bool], tuned: Sequence[bool], groups: Sequence[str]) -> Interval:
        """Return a paired difference with its interval."""
        return estimate_difference(base, tuned, groups, self.bootstrap, self.confidence)


def build_metrics(scored: Scored, statistics: Statistics) -> list[Metric]:
    """Return the metrics of the scored split."""
    final = [score.is_exact for score in scored.final]
    overall = statistics.estimate(final, scored.groups)
    metrics = [
        Metric(name="num_rows", value=len(scored.rows)),
        _describe("exact_match", overall),
        Metric(name="exact_match_interval_width", value=overall.width),
        *_build_task_metrics(scored, statistics),
    ]
    if scored.tuned is None:
        return [
            *metrics,
            *_build_grade_metrics(scored.base, ""),
            *_build_form_metrics(scored, scored.base, "", statistics),
        ]
    return [
        *metrics,
        *_build_grade_metrics(scored.base, "_base"),
        *_build_grade_metrics(scored.tuned, "_tuned"),
        *_build_paired_metrics("exact_match", scored, "is_exact", statistics),
        *_build_form_metrics(scored, scored.base, "_base", statistics),
        *_build_form_metrics(scored, scored.tuned, "_tuned", statistics),
    ]


def build_control_metrics(scored: Scored, statistics: Statistics) -> list[Metric]:
    """Return the metrics of the control split."""
    count = Metric(name="num_control_rows", value=len(scored.rows))
    if scored.tuned is None:
        outcomes = [score.is_mentioned for score in scored.base]
        return [count, _describe("control_mentioned", statistics.estimate(outcomes, scored.groups))]
    return [count, *_build_paired_metrics("control_mentioned", scored, "is_mentioned", statistics)]


def _build_paired_metrics(name: str, scored: Scored, outcome: str, statistics: Statistics) -> list[Metric]:
    base = [bool(getattr(score, outcome)) for score in scored.base]
    tuned = [bool(getattr(score, outcome)) for score in scored.final]
    wins = sum(after and not before for before, after in zip(base, tuned, strict=True))
    losses = sum(before and not after for before, after in zip(base, tuned, strict=True))
    prefix = "" if name == "exact_match" else "control_"
    return [
        _describe(f"{name}_base", statistics.estimate(base, scored.groups)),
        _describe(f"{name}_tuned", statistics.estimate(tuned, scored.groups)),
        _describe(f"{name}_delta", statistics.compare(base, tuned, scored.groups)),
        Metric(name=f"{prefix}wins", value=wins),
        Metric(name=f"{prefix}losses", value=losses),
    ]


def _build_task_metrics(scored: Scored, statistics: Statistics) -> list[Metric]:
    tasks = sorted({row.task for row in scored.rows})
    metrics = []
    for task in tasks if len(tasks) > 1 else []:
        places = [place for place, row in enumerate(scored.rows) if row.task == task]
        outcomes = [scored.final[place].is_exact for place in places]
        interval = statistics.estimate(outcomes, [scored.groups[place] for place in places])
        metrics.append(_describe(f"exact_match_{task or 'untyped'}", interval))
    return metrics


def _build_form_metrics(scored: Scored, scores: Sequence[Score], suffix: str, statistics: Statistics) -> list[Metric]:
    pairs = [(score, group) for score, group in zip(scores, scored.groups, strict=True) if score.is_json is not None]
    if not pairs:
        return []
    groups = [group for _, group in pairs]
    metrics = [_describe(f"json_valid{suffix}", statistics.estimate([bool(one.is_json) for one, _ in pairs], groups))]
    names = list(dict.fromkeys(name for score, _ in pairs for name in score.fields))
    for name in names:
        having = [(score.fields[name], group) for score, group in pairs if name in score.fields]
        outcomes, owners = [right for right, _ in having], [group for _, group in having]
        metrics.append(_describe(f"field_{name}{suffix}", statistics.estimate(outcomes, owners)))
    return metrics


def _build_grade_metrics(scores: Sequence[Score], suffix: str) -> list[Metric]:
    grades = [score.value for score in scores if score.value is not None]
    return [Metric(name=f"mean_score{suffix}", value=sum(grades) / len(grades))] if grades else []


def _describe(name: str, interval: Interval) -> Metric:
    return Metric(name=name, value=interval.value, low=interval.low, high=interval.high)


def build_failures(scored: Scored) -> list[Failure]:
    """Group the wrong answers of the evaluated model by kind, the most frequent kind first."""
    by_kind: dict[str, list[str]] = defaultdict(list)
    for row, score in zip(scored.rows, scored.final, strict=True):
        if score.failure:
            by_kind[score.failure].append(row.id)
    ranked = sorted(by_kind.items(), key=lambda item: (-len(item[1]), item[0]))
    return [_describe_failure(kind, ids, len(scored.rows)) for kind, ids in ranked]


def _describe_failure(kind: str, ids: Sequence[str], num_rows: int) -> Failure:
    name, _, rest = kind.partition(":")
    named = f"JSON that its schema refuses ({rest})" if name == "schema" else f"wrong {rest.replace('+', ', ')}"
    text = _FAILURE_TEXTS.get(kind, named)
    return Failure(kind=kind, where=name_first(ids, MAX_NAMED_ROWS), text=f"{len(ids)} of {num_rows} answers: {text}")


def build_samples(split: str, scored: Scored, answers: Sequence[Sequence[GivenAnswer]]) -> list[EvaluationSample]:
    """Return one sample per row: the prompt, the expected answer, and each model's answer with its score.

    Args:
        split: Name of the split.
        scored: Rows and scores.
        answers: Of the base model and, with a candidate, of the candidate, in row order.
    """
    samples = []
    for place, row in enumerate(scored.rows):
        line: dict[str, Any] = {
            "id": row.id,
            "split": split,
            "task": row.task,
            "group": row.group,
            "prompt": row.messages[-1].content,
            "expected": row.answer,
            "prompt_sha256": answers[0][place].prompt_sha256,
        }
        if scored.tuned is None:
            line |= {"output": answers[0][place].answer.text, "correct": scored.base[place].is_exact}
            line |= _describe_answer("", scored.base[place], answers[0][place])
        else:
            base, tuned = answers[0][place], answers[1][place]
            if base.prompt_sha256 != tuned.prompt_sha256:
                line["candidate_prompt_sha256"] = tuned.prompt_sha256
            line |= {"base": base.answer.text, "candidate": tuned.answer.text}
            line |= {"base_correct": scored.base[place].is_exact, "candidate_correct": scored.tuned[place].is_exact}
            line |= _describe_answer("base_", scored.base[place], base)
            line |= _describe_answer("candidate_", scored.tuned[place], tuned)
        samples.append(EvaluationSample(**line))
    return samples


def _describe_answer(prefix: str, score: Score, given: GivenAnswer) -> dict[str, Any]:
    rare: dict[str, Any] = {f"{prefix}cached": True} if given.is_cached else {}
    rare |= {} if score.value is None else {f"{prefix}score": score.value}
    return rare | {
        f"{prefix}failure": score.failure,
        f"{prefix}mentioned": score.is_mentioned,
        f"{prefix}fields": score.fields,
        f"{prefix}finish": "stop" if given.answer.is_stopped else "length",
    }
