"""Results of one model by item, read from its samples or from an lm-evaluation-harness log, and paired by id.

A line of an evaluation with one model has ``output`` and ``correct``. A line that lm-evaluation-harness 0.4 writes with
``--log_samples`` has ``doc_id``, ``prompt_hash``, the names of its ``metrics`` and a value under each name.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from practicum_core.errors import DataError
from practicum_core.name_lists import name_first
from practicum_core.stages.evaluate import EvaluateRecord, EvaluationSample
from practicum_jobs.scoring.evaluation_samples import read_evaluation_samples, write_prompt

MAX_NAMED = 5
CONTROL = "control"
"""Split whose items are the control set."""
_FIX = (
    "give two files of one model each: samples.jsonl of an evaluation, or samples_TASK_*.jsonl of lm-evaluation-harness"
)


@dataclass(frozen=True)
class ItemResult:
    """What one model scored on one item.

    Attributes:
        id: Of the item; a pair has the same.
        split: Split that it belongs to; of a log, the file's name for its task.
        task: Task of the item.
        cluster: Template or passage; empty where nothing says it.
        prompt_hash: Of the prompt as it was given to the model.
        score: 1 and 0 for right and wrong, or a score.
        text_hash: Of the prompt before the chat template and the tokenizer; empty where it is not known.
        sampling: How the answer was generated; empty where it is not known.
        measure: What the score counts: of a log, FILTER/METRIC; of samples, ``right``, ``grade`` or ``named``.
        scorer: Scorer of the evaluation, for rows that choose none of their own; empty where it is not known.
    """

    id: str
    split: str
    task: str
    cluster: str
    prompt_hash: str
    score: float
    text_hash: str = ""
    sampling: str = ""
    measure: str = ""
    scorer: str = ""


def read_results(path: Path) -> list[ItemResult]:
    """Read the results of one model.

    Raises:
        DataError: The file is of neither kind, holds two models' answers, or an item twice.
    """
    try:
        with path.open("rb") as handle:
            first = handle.readline()
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}", _FIX) from error
    try:
        document = json.loads(first)
    except ValueError as error:
        raise DataError(f"{path}: its first line is no JSON", _FIX) from error
    is_log = isinstance(document, dict) and "doc_id" in document
    return _read_log(path) if is_log else _read_samples(path)


def pair_results(base: Sequence[ItemResult], candidate: Sequence[ItemResult]) -> list[tuple[ItemResult, ItemResult]]:
    """Pair the results by split and id, in the order of the base.

    Raises:
        DataError: An item is missing on one side, was asked with another prompt, or was sampled or scored in another
            way.

    >>> one = ItemResult("1", "test", "", "", "ab", 0.0)
    >>> pair_results([one], [one])[0][1].score
    0.0
    """
    others = {(one.split, one.id): one for one in candidate}
    known = {(one.split, one.id) for one in base}
    missing = [one.id for one in base if (one.split, one.id) not in others]
    extra = [one.id for one in candidate if (one.split, one.id) not in known]
    if missing or extra:
        raise DataError(
            f"the files hold other items: {_name(missing)} only in the first, {_name(extra)} only in the second",
            "evaluate both models on the same rows",
        )
    pairs = [(one, others[one.split, one.id]) for one in base]
    _check_prompts(pairs)
    _check_sampling(pairs)
    _check_scores(pairs)
    return pairs


def _check_prompts(pairs: Sequence[tuple[ItemResult, ItemResult]]) -> None:
    changed = [(one, other) for one, other in pairs if one.prompt_hash != other.prompt_hash]
    if not changed:
        return
    named = _name([one.id for one, _ in changed])
    if all(one.text_hash and one.text_hash == other.text_hash for one, other in changed):
        raise DataError(
            f"{named} had the same text and other token ids in the second file: the tokenizers or chat"
            " templates differ",
            "compare models with one tokenizer and chat template by files; `practicum compare` on the two models"
            " answers the rows with each model's own and says so",
        )
    raise DataError(
        f"{named} had another prompt in the second file",
        "evaluate both models with the same prompts, chat template and examples",
    )


def _check_sampling(pairs: Sequence[tuple[ItemResult, ItemResult]]) -> None:
    changed = [(a, b) for a, b in pairs if a.sampling and b.sampling and a.sampling != b.sampling]
    if changed:
        one, other = changed[0]
        raise DataError(
            f"{_name([one.id for one, _ in changed])} were sampled otherwise: {one.sampling} in the first file, "
            f"{other.sampling} in the second",
            "evaluate both models with the same temperature, stop texts and limit of new tokens",
        )


def _check_scores(pairs: Sequence[tuple[ItemResult, ItemResult]]) -> None:
    """Refuse scores that count different things: their difference says nothing about the models."""
    named = [(one.id, one.measure, other.measure) for one, other in pairs if one.measure != other.measure]
    named = named or [
        (one.id, one.scorer, other.scorer)
        for one, other in pairs
        if one.scorer and other.scorer and one.scorer != other.scorer
    ]
    if named:
        _, one, other = named[0]
        raise DataError(
            f"{_name([item for item, _, _ in named])} were scored otherwise: {one} in the first file, {other} in the"
            " second",
            "score both models with the same scorer; logs with the same filter and metric",
        )


def _read_samples(path: Path) -> list[ItemResult]:
    sampling, scorer = _read_conditions(path.with_name("record.json"))
    results = []
    for sample in read_evaluation_samples(path):
        if sample.is_paired or sample.correct is None:
            raise DataError(f"{path}: {sample.id} does not hold one model's answer", _FIX)
        text = hashlib.sha256(write_prompt(sample.prompt).encode()).hexdigest()
        score, measure = _get_score(sample)
        result = ItemResult(
            id=sample.id,
            split=sample.split,
            task=sample.task,
            cluster=sample.group,
            prompt_hash=sample.prompt_sha256 or text,
            score=score,
            text_hash=text,
            sampling=sampling,
            measure=measure,
            scorer=scorer,
        )
        results.append(result)
    return results


def _get_score(sample: EvaluationSample) -> tuple[float, str]:
    """Return the score and what it counts: the grade, or whether the answer is right.

    Of a control item, whether the answer names what is expected.
    """
    if sample.split == CONTROL:
        return float(bool(sample.mentioned)), "named"
    return (float(bool(sample.correct)), "right") if sample.score is None else (sample.score, "grade")


def _read_conditions(record: Path) -> tuple[str, str]:
    """Return how an evaluation generated and scored its answers, as its record beside the samples tells; else nothing.

    A record of an older release names no scorer.
    """
    try:
        found = EvaluateRecord.model_validate_json(record.read_bytes())
    except (OSError, ValidationError):
        return "", ""
    return found.sampling, found.scorer


def _read_log(path: Path) -> list[ItemResult]:
    """Read a log; where an answer was filtered in several ways, the first filter of the file counts."""
    documents = _parse_lines(path)
    first_filter = documents[0].get("filter")
    task = path.name.removeprefix("samples_").partition("_20")[0]
    results: dict[str, ItemResult] = {}
    for document in documents:
        if document.get("filter") != first_filter:
            continue
        item = str(document["doc_id"])
        if item in results:
            raise DataError(f"{path}: the item {item} is there twice", _FIX)
        score, metric = _read_score(path, item, document)
        results[item] = ItemResult(
            id=item,
            split="log",
            task=task,
            cluster="",
            prompt_hash=str(document.get("prompt_hash") or document.get("doc_hash") or ""),
            score=score,
            sampling=_describe_arguments(document.get("arguments")),
            measure=f"{first_filter or 'none'}/{metric}",
        )
    return list(results.values())


def _parse_lines(path: Path) -> list[dict[str, Any]]:
    documents = []
    for number, line in enumerate(path.read_bytes().splitlines(), start=1):
        try:
            document = json.loads(line)
        except ValueError as error:
            raise DataError(f"{path}: line {number} is no JSON", "the file may be cut off; write it again") from error
        if not isinstance(document, dict) or "doc_id" not in document:
            raise DataError(f"{path}: line {number} has no doc_id", _FIX)
        documents.append(document)
    return documents


def _describe_arguments(arguments: object) -> str:
    """Return the options of generation in a line of a log: the second argument of its first request."""
    requests = list(arguments.values()) if isinstance(arguments, dict) else arguments
    first = requests[0] if isinstance(requests, list) and requests else None
    parts = list(first.values()) if isinstance(first, dict) else first
    options = parts[1] if isinstance(parts, list) and len(parts) > 1 else None
    return json.dumps(options, sort_keys=True, ensure_ascii=False) if isinstance(options, dict) else ""


def _read_score(path: Path, item: str, document: dict[str, Any]) -> tuple[float, str]:
    """Return the value and the name of the first metric that the line names."""
    names = document.get("metrics") or [name for name in ("exact_match", "acc") if name in document]
    value = document.get(names[0]) if isinstance(names, list) and names else None
    if not isinstance(value, (bool, int, float)):
        raise DataError(f"{path}: the item {item} has no number as its score", "log a metric of single items")
    return float(value), str(names[0])


def _name(items: Sequence[str]) -> str:
    return f"{len(items)} items ({name_first(items, MAX_NAMED)})" if items else "none"
