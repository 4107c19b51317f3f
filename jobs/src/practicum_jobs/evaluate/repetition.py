"""The base model's second answers to some rows, in batches of another size: how far one model differs from itself.

Decoding is greedy, so that nothing but the engine's arithmetic may differ; it depends on what else is in a batch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from practicum_core.rows import Row
from practicum_core.stages.evaluate import EvaluateConfig, EvaluationSample
from practicum_jobs.context import StageContext
from practicum_jobs.evaluate.answering import Question, answer_rows
from practicum_jobs.evaluate.models import EvaluatedModel
from practicum_jobs.scoring.scorers import score_row

_ROLE = "again"


def repeat_answers(
    model: EvaluatedModel,
    rows: Sequence[Row],
    config: EvaluateConfig,
    ctx: StageContext,
    on_answered: Callable[[int], None],
) -> list[str]:
    """Return the model's second answers to the first ``config.repeat_rows`` of the rows; no kept answer is used."""
    repeated = rows[: config.repeat_rows]
    if not repeated:
        return []
    anew = config.model_copy(update={"reuse_answers": False, "batch_size": max(config.batch_size // 2, 1)})
    answers = answer_rows(model, Question(_ROLE, {config.split: repeated}), anew, ctx, on_answered)
    return [given.answer.text for given in answers.by_split[config.split]]


def add_repeated(
    samples: Sequence[EvaluationSample], rows: Sequence[Row], texts: Sequence[str], config: EvaluateConfig
) -> list[EvaluationSample]:
    """Return the samples of a split with the second answers to its first rows, and their scores."""
    added = []
    for sample, row, text in zip(samples, rows, texts, strict=False):
        score = score_row(row, text, config.scorer, may_run_code=config.run_code)
        fields = {"again": text, "again_correct": score.is_exact}
        grade = {} if score.value is None else {"again_score": score.value}
        added.append(sample.model_copy(update=fields | grade))
    return [*added, *samples[len(added) :]]
