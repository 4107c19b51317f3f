"""Tasks of lm-evaluation-harness that need no Python code, as task files of this project. Pure.

Read are ``generate_until`` with exact match and at most one regular expression as a filter, and ``multiple_choice``.
Whatever else a file asks for is refused by name, because ignoring it would change scores.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from practicum_core.errors import ConfigError

_KNOWN = frozenset(
    {"task", "tag", "group", "task_alias", "metadata", "dataset_path", "dataset_name", "dataset_kwargs", "test_split"}
    | {"validation_split", "training_split", "fewshot_split", "output_type", "doc_to_text", "doc_to_target"}
    | {"doc_to_choice", "generation_kwargs", "filter_list", "metric_list", "num_fewshot", "description", "repeats"}
    | {"target_delimiter", "fewshot_delimiter", "should_decontaminate", "doc_to_decontamination_query"}
)
_TYPES = {"generate_until", "multiple_choice"}
_MARKS = frozenset({"output_type", "doc_to_text", "dataset_path"})
_DATA_KINDS = frozenset({"json", "csv", "parquet", "arrow"})
_SAMPLING = frozenset({"until", "do_sample", "temperature", "max_gen_toks", "max_new_tokens", "max_tokens"})
_EXACT = frozenset({"metric", "aggregation", "higher_is_better", "ignore_case", "ignore_punctuation"})
_COLUMN = re.compile(r"[A-Za-z_]\w*")


def is_harness_task(document: Mapping[str, Any]) -> bool:
    """Whether a YAML document is a task of lm-evaluation-harness.

    >>> is_harness_task({"task": "a", "doc_to_text": "{{q}}"}), is_harness_task({"task": "a", "prompt": "q"})
    (True, False)
    """
    return bool(_MARKS & document.keys())


def convert_task(document: Mapping[str, Any], path: Path) -> dict[str, Any]:
    """Return the same task in this project's words.

    Raises:
        ConfigError: It asks for something that is not read here; every problem in one message.
    """
    problems = [f"{key} is not read" for key in sorted(document.keys() - _KNOWN)]
    kind = document.get("output_type", "generate_until")
    if kind not in _TYPES:
        problems.append(f"output_type {kind!r} is not read")
    if document.get("num_fewshot"):
        problems.append("num_fewshot: examples in the prompt are not read")
    if document.get("repeats", 1) != 1:
        problems.append("repeats: an item is answered once")
    data = _find_data(document, problems)
    scorer = _convert_choice(document, problems) if kind == "multiple_choice" else _convert_exact(document, problems)
    if problems:
        raise ConfigError(
            f"{path}: a task of lm-evaluation-harness that asks for more than is read here: {'; '.join(problems)}",
            "run it with lm_eval --log_samples and compare its files: practicum compare BASE.jsonl CANDIDATE.jsonl",
        )
    return {
        "task": str(document.get("task", path.stem)),
        "data": data,
        "system": str(document.get("description", "")).strip(),
        "prompt": _to_template(document.get("doc_to_text", "")),
        "answer": _convert_target(document, kind),
        "scorer": scorer,
    }


def _find_data(document: Mapping[str, Any], problems: list[str]) -> str:
    split = str(document.get("test_split") or document.get("validation_split") or "test")
    kind = document.get("dataset_path")
    files = (document.get("dataset_kwargs") or {}).get("data_files")
    found = files.get(split) if isinstance(files, dict) else files
    if kind not in _DATA_KINDS:
        problems.append(f"dataset_path {kind!r} is no local file: download it, and name json and its data_files")
    elif not isinstance(found, str):
        problems.append(f"dataset_kwargs.data_files names no single file for the split {split}")
    return str(found)


def _convert_exact(document: Mapping[str, Any], problems: list[str]) -> dict[str, Any]:
    metrics = document.get("metric_list") or [{"metric": "exact_match"}]
    problems += [
        f"metric_list: {metric.get('metric')!r} with {', '.join(sorted(metric))} is not read"
        for metric in metrics
        if metric.get("metric") != "exact_match" or metric.keys() - _EXACT
    ]
    sampling = document.get("generation_kwargs") or {}
    if sampling.keys() - _SAMPLING or sampling.get("do_sample") or sampling.get("temperature"):
        problems.append("generation_kwargs: answers are greedy, with until and a limit of tokens alone")
    until = sampling.get("until") or []
    options = {"until": [until] if isinstance(until, str) else list(until)}
    pattern = _find_pattern(document, problems)
    return {"kind": "text", **options} if pattern is None else {"kind": "regex", "pattern": pattern, **options}


def _find_pattern(document: Mapping[str, Any], problems: list[str]) -> str | None:
    filters = document.get("filter_list") or []
    steps = [step for one in filters for step in one.get("filter", []) if step.get("function") != "take_first"]
    if not steps:
        return None
    step = steps[0]
    if len(filters) > 1 or len(steps) > 1 or step.get("function") != "regex" or step.get("group_select", 0) != 0:
        problems.append("filter_list: at most one regex with its first find, then take_first, is read")
        return None
    return str(step.get("regex_pattern", ""))


def _convert_choice(document: Mapping[str, Any], problems: list[str]) -> dict[str, Any]:
    choices = document.get("doc_to_choice")
    if not isinstance(choices, str | list):
        problems.append("doc_to_choice names no choices")
    metrics = {metric.get("metric") for metric in document.get("metric_list") or [{"metric": "acc"}]}
    if metrics - {"acc", "acc_norm"}:
        problems.append(f"metric_list: {', '.join(sorted(map(str, metrics - {'acc', 'acc_norm'})))} is not read")
    # A rendered template is the text of a list there; here its expression is the list itself.
    named = _to_template(choices) if isinstance(choices, str) else choices
    return {"kind": "choice", "choices": named, "per_byte": metrics == {"acc_norm"}}


def _convert_target(document: Mapping[str, Any], kind: str) -> str:
    target = document.get("doc_to_target", "")
    choices = document.get("doc_to_choice")
    if kind != "multiple_choice":
        return _to_template(target)
    listed = repr(choices) if isinstance(choices, list) else _get_expression(choices or "")
    inner = str(target) if isinstance(target, int) else _get_expression(target)
    # As in the harness, a target that is a number, or the text of one, is a place among the choices.
    place = "target | int if target is integer or (target ~ '').isdigit()"
    return f"{{% set target = {inner} %}}{{{{ ({listed})[{place} else ({listed}).index(target)] }}}}"


def _get_expression(text: object) -> str:
    """Return what stands between the braces of a template that is one expression."""
    return _to_template(text).strip().removeprefix("{{").removesuffix("}}").strip()


def _to_template(text: object) -> str:
    """Return a template: the name of a column stands for its value.

    >>> _to_template("question"), _to_template("Q: {{question}}")
    ('{{ question }}', 'Q: {{question}}')
    """
    written = str(text)
    return f"{{{{ {written} }}}}" if _COLUMN.fullmatch(written) else written
