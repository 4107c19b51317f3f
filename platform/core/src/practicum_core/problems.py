"""One sentence for each problem that pydantic finds in a document: the path, what is wrong, the value. Pure."""

from __future__ import annotations

import typing
from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, ValidationError

from practicum_core.errors import suggest_similar

_VALUE_LENGTH = 80
_CONSEQUENCE = "default_factory_not_called"
"""Pydantic's word for a default that could not be computed because another value is wrong; that one is told."""
_PREFIXES = ("Value error, ", "Assertion failed, ")


def list_problems(
    error: ValidationError, model: type[BaseModel] | None = None, *, prefix: str = "", noun: str = "key"
) -> list[str]:
    """List the problems of a document, one sentence each, without repeats.

    Args:
        error: What pydantic raised.
        model: The model that was validated; with it, unknown keys get "did you mean".
        prefix: What stands before each path, such as ``spec.``.
        noun: What a key is called, such as ``option``.
    """
    found = [one for one in error.errors() if one["type"] != _CONSEQUENCE]
    sentences = [describe_problem(one, one["loc"], model, prefix=prefix, noun=noun) for one in found]
    return list(dict.fromkeys(sentences))


def describe_problems(error: ValidationError, model: type[BaseModel] | None = None, *, prefix: str = "") -> str:
    """Return the problems of a document as one line."""
    return "; ".join(list_problems(error, model, prefix=prefix))


def describe_problem(
    problem: Any,  # noqa: ANN401 - pydantic's own mapping
    location: Sequence[str | int],
    model: type[BaseModel] | None = None,
    *,
    prefix: str = "",
    noun: str = "key",
) -> str:
    """Describe one problem.

    Args:
        problem: An item of ``ValidationError.errors()``.
        location: Keys that lead to the value.
        model: The model that was validated.
        prefix: What stands before the path.
        noun: What a key is called.
    """
    path = prefix + ".".join(map(str, location))
    where = f"{path}: " if path else ""
    if problem["type"] == "extra_forbidden":
        hint = suggest_similar(str(location[-1]), list_keys(model, location[:-1])) if model else ""
        return f"{where}unknown {noun}{hint}"
    if problem["type"] == "missing":
        return f"{where}missing"
    got = "" if problem["type"] == "json_invalid" or not location else f", got {_shorten(repr(problem['input']))}"
    return f"{where}{_soften(problem['msg'])}{got}"


def list_keys(model: type[BaseModel] | None, location: Sequence[str | int]) -> list[str]:
    """List the keys that a model takes at a place; none where the place has no model.

    >>> from practicum_core.weekjob import WeekJob
    >>> "uri" in list_keys(WeekJob, ("spec", "model"))
    True
    >>> list_keys(WeekJob, ("spec", "set"))
    []
    """
    for part in location:
        if model is None or isinstance(part, int):
            continue
        field = next((found for name, found in model.model_fields.items() if part in (name, found.alias)), None)
        model = _get_model(field.annotation) if field else None
    return [field.alias or name for name, field in model.model_fields.items()] if model else []


def _get_model(annotation: Any) -> type[BaseModel] | None:  # noqa: ANN401 - any type expression
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for part in typing.get_args(annotation) if (found := _get_model(part))), None)


def _soften(message: str) -> str:
    """Make pydantic's sentence a part of another one; values in it keep their case.

    >>> _soften("Input should be 'Quick' or 'Full'")
    "input should be 'Quick' or 'Full'"
    """
    for prefix in _PREFIXES:
        message = message.removeprefix(prefix)
    return message[:1].lower() + message[1:]


def _shorten(text: str) -> str:
    """Cut what is long.

    >>> len(_shorten("x" * 1000))
    80
    """
    return text if len(text) <= _VALUE_LENGTH else f"{text[: _VALUE_LENGTH - 3]}..."
