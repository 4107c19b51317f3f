"""Documents of the API server, read as models, and what of a model is written back. Pure."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from practicum_core.course import Course, CourseSpec
from practicum_core.errors import ConfigError
from practicum_core.phases import Phase
from practicum_core.problems import describe_problems
from practicum_core.weekjob import Metadata, Resource, WeekJob, WeekJobSpec, WeekJobStatus

Document = dict[str, Any]
_MAX_TEXT = 4096
"""Length of a status text in the custom resource definition."""


def read_week_job(document: Mapping[str, Any]) -> WeekJob:
    """Return the week job that a custom resource describes.

    Raises:
        ConfigError: The definition in the cluster lets through what this version refuses; every problem is named.
    """
    metadata = document["metadata"]
    try:
        return WeekJob(
            metadata=Metadata(name=metadata["name"], namespace=metadata["namespace"]),
            spec=WeekJobSpec.model_validate(document.get("spec", {})),
        )
    except ValidationError as error:
        detail = describe_problems(error, WeekJobSpec, prefix="spec.")
        raise ConfigError(detail, "kubectl explain weekjob.spec names what is allowed") from error


def read_course(document: Mapping[str, Any]) -> Course:
    """Return the course that a custom resource describes.

    Raises:
        ConfigError: As for :func:`read_week_job`.
    """
    try:
        return Course(
            metadata=Metadata(name=document["metadata"]["name"], namespace=""),
            spec=CourseSpec.model_validate(document.get("spec", {})),
        )
    except ValidationError as error:
        detail = describe_problems(error, CourseSpec, prefix="spec.")
        raise ConfigError(detail, "kubectl explain course.spec names what is allowed") from error


def read_status(document: Mapping[str, Any]) -> WeekJobStatus | None:
    """Return the status as it was last written; ``None`` where there is none.

    Of another version's status only its end is read, since what ended must not run again; before it, ``None``.
    """
    if not document.get("status"):
        return None
    try:
        return WeekJobStatus.model_validate(document["status"])
    except ValidationError:
        return _read_end(document["status"])


def _read_end(status: Mapping[str, Any]) -> WeekJobStatus | None:
    """Return that a week job ended, and when.

    >>> end = _read_end({"phase": "Succeeded", "reason": "OfTheNextVersion", "completionTime": "noon"})
    >>> end.phase, end.completion_time
    (<Phase.SUCCEEDED: 'Succeeded'>, None)
    """
    if status.get("phase") not in {Phase.SUCCEEDED, Phase.FAILED}:
        return None
    kept = {name: status[name] for name in ("phase", "message", "startTime", "completionTime") if name in status}
    return WeekJobStatus.model_validate({name: value for name, value in kept.items() if _is_readable(name, value)})


def _is_readable(name: str, value: object) -> bool:
    try:
        WeekJobStatus.model_validate({name: value})
    except ValidationError:
        return False
    return True


def build_status_patch(before: Mapping[str, Any], status: Resource) -> Document | None:
    """Return what to merge into the status so that it becomes ``status``; ``None`` where it is that already.

    >>> build_status_patch({"message": "a", "stage": "sft"}, WeekJobStatus(message="a"))["stage"] is None
    True
    """
    wanted = status.model_dump(mode="json", by_alias=True, exclude_none=True)
    # Most looks change nothing, and then no text need be looked at.
    return (_merge(before, wanted) and _merge(before, _clip(wanted))) or None


def _clip(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    """Shorten texts that the definition would refuse: an operator's or a stage's message may be of any length.

    >>> len(_clip({"message": ["a" * 5000]})["message"][0])
    4096
    """
    match value:
        case str():
            return value if len(value) <= _MAX_TEXT else f"{value[: _MAX_TEXT - 1]}…"
        case list():
            return [_clip(one) for one in value]
        case dict():
            return {key: _clip(one) for key, one in value.items()}
    return value


def _merge(before: Mapping[str, Any], wanted: Mapping[str, Any]) -> Document:
    patch: Document = {key: None for key in before if key not in wanted}
    for key, value in wanted.items():
        old = before.get(key)
        if isinstance(value, dict) and isinstance(old, Mapping):
            if inner := _merge(old, value):
                patch[key] = inner
        elif old != value:
            patch[key] = value
    return patch


def read_time(text: str | None) -> dt.datetime | None:
    """Read a time as the API server writes it; ``None`` for what is no time.

    >>> read_time("2026-01-02T03:04:05Z").isoformat()
    '2026-01-02T03:04:05+00:00'
    >>> read_time("yesterday") is read_time("9999-12-31T23:59:59-01:00") is None
    True
    """
    try:
        time = dt.datetime.fromisoformat(text) if text else None
        return time.replace(tzinfo=time.tzinfo or dt.UTC).astimezone(dt.UTC) if time is not None else None
    except (ValueError, OverflowError):
        return None
