"""Task files: a data file, a prompt and a scorer put together in YAML, which become rows that each choose that scorer.

A task of lm-evaluation-harness is read too where it needs no Python code (``harness_tasks.py``).
Prompts always go through the model's chat template as a user turn. The rows are those of a split ``test``, or of the
split that the name of the task file says.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from jinja2 import StrictUndefined, TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from practicum_core.errors import ConfigError, DataError, Reason
from practicum_core.layout import resolve_inside
from practicum_core.problems import list_problems
from practicum_core.rows import Message, Row
from practicum_core.scorers import Scorer
from practicum_jobs.datasets.columns import Record, RowFault
from practicum_jobs.datasets.harness_tasks import convert_task, is_harness_task
from practicum_jobs.datasets.json_text import decode_record
from practicum_jobs.datasets.readers import DEFAULT, Defect, Piece, Raw, ReadOptions, iter_pieces

MAX_TASK_BYTES = 1_000_000

_TEMPLATES = ImmutableSandboxedEnvironment(undefined=StrictUndefined, keep_trailing_newline=True)
_SCORER: TypeAdapter[Scorer] = TypeAdapter(Scorer)


class TaskFile(BaseModel):
    """A task. Texts are jinja2 templates over the columns of a record."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    task: str = Field(min_length=1, description="Name of the task.")
    data: str = Field(description="Data file, relative to the folder of the task.")
    prompt: str = Field(min_length=1)
    system: str = ""
    answer: str = ""
    group: str = ""
    language: str = ""
    scorer: dict[str, Any] = Field(
        default_factory=lambda: {"kind": "text"},
        description="Of practicum_core.scorers; texts in it are templates too.",
    )


def read_task(path: Path) -> TaskFile:
    """Read a task file.

    Raises:
        ConfigError: It is no task, all problems in one message; or one of lm-evaluation-harness that needs code.
        DataError: It cannot be read.
    """
    try:
        if path.stat().st_size > MAX_TASK_BYTES:
            raise ConfigError(f"{path}: more than {MAX_TASK_BYTES:,} bytes, which no task file has", "name a task file")
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}", "check the path", Reason.DATA_MISSING) from error
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        told = " ".join(str(error).split())[:200]
        hint = "; !function needs Python code, which is never run" if "!function" in told else ""
        raise ConfigError(f"{path}: no YAML that is read here ({told}){hint}", "write task, data, prompt") from error
    if not isinstance(document, dict):
        raise ConfigError(f"{path}: no mapping of keys", "write task, data, prompt, answer and scorer")
    if is_harness_task(document):
        document = convert_task(document, path)
    try:
        return TaskFile.model_validate(document)
    except ValidationError as error:
        raise ConfigError(f"{path}: {'; '.join(list_problems(error, TaskFile))}", "correct the named keys") from error


def find_data_file(path: Path, task: TaskFile) -> Path:
    """Return the data file of a task, which lies in the task's own folder.

    Raises:
        ConfigError: It is named elsewhere.
        DataError: Nothing lies there.
    """
    try:
        file = resolve_inside(path.parent, task.data)
    except ConfigError as error:
        raise ConfigError(
            f"{path}: data {task.data!r} leaves the task's folder", "put the file beside the task"
        ) from error
    if not file.is_file():
        raise DataError(f"{path}: data file {file} is missing", "put the file beside the task", Reason.DATA_MISSING)
    return file


def iter_task(path: Path, task: TaskFile, options: ReadOptions = DEFAULT) -> Iterator[Piece]:
    """Yield a row for each record of the task's data, and a defect for each that makes none."""
    file = find_data_file(path, task)
    for piece in iter_pieces(file, options):
        if isinstance(piece, Raw):
            try:
                record = decode_record(piece.record) if isinstance(piece.record, bytes) else piece.record
                yield build_row(task, record, f"{task.task}:{piece.number}")
            except RowFault as fault:
                yield Defect(file, piece.number, fault.kind, fault.detail)
        else:
            yield piece


def build_row(task: TaskFile, record: Record, default_id: str) -> Row:
    """Fill a task's templates with a record.

    Raises:
        RowFault: A template names a column that the record lacks, or the scorer that results is wrong.

    >>> task = TaskFile(task="sums", data="a.jsonl", prompt="{{ a }} + {{ b }}?", answer="{{ a + b }}")
    >>> build_row(task, {"a": 1, "b": 2}, "sums:1").answer
    '3'
    """
    system = [Message(role="system", content=_fill(task.system, record))] if task.system else []
    given = record.get("id")
    try:
        scorer = _SCORER.validate_python(_fill_all(task.scorer, record))
    except ValidationError as error:
        raise RowFault("wrong_type", f"scorer: {list_problems(error)[0]}") from error
    return Row(
        id=str(given) if isinstance(given, str | int) and not isinstance(given, bool) and given != "" else default_id,
        messages=[*system, Message(role="user", content=_fill(task.prompt, record))],
        answer=_fill(task.answer, record),
        task=task.task,
        language=_fill(task.language, record),
        group=_fill(task.group, record),
        scorer=scorer,
    )


def _fill_all(value: Any, record: Record) -> Any:  # noqa: ANN401 - any JSON value
    """Fill the templates in a scorer's options. A list may be one template: ``choices: "{{ options }}"``."""
    if isinstance(value, str):
        return _evaluate(value, record) if _is_single(value) else _fill(value, record)
    if isinstance(value, Mapping):
        return {key: _fill_all(one, record) for key, one in value.items()}
    return [_fill_all(one, record) for one in value] if isinstance(value, list) else value


def _is_single(text: str) -> bool:
    return text.startswith("{{") and text.endswith("}}") and text.count("{{") == 1


def _evaluate(text: str, record: Record) -> object:
    """Return the value of one expression, not its text."""
    try:
        return _TEMPLATES.compile_expression(text[2:-2].strip(), undefined_to_none=False)(**record)
    except Exception as error:  # a template is a program of others
        raise RowFault("missing_column", f"template {text!r}: {error}") from error


def _fill(text: str, record: Record) -> str:
    try:
        return _TEMPLATES.from_string(text).render(**record)
    except TemplateError as error:
        raise RowFault("missing_column", f"template {text[:80]!r}: {error}") from error
    except Exception as error:  # a template is a program of others
        raise RowFault("wrong_type", f"template {text[:80]!r}: {type(error).__name__}: {error}") from error
