"""Descriptions of validation errors: one sentence per problem with path, cause and value. Pure."""

from __future__ import annotations

import typing
from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, ValidationError

from practicum_core.errors import suggest_similar

UNSHOWN = "unshown_value"
"""Error type of a value that may hold a password or a key, and is not shown."""
_VALUE_LENGTH = 80
_CONSEQUENCE = "default_factory_not_called"
"""Error type of pydantic for a default that depends on an invalid value. It is left out: that value is reported."""
_PREFIXES = ("Value error, ", "Assertion failed, ")


def list_problems(
    error: ValidationError, model: type[BaseModel] | None = None, *, prefix: str = "", noun: str = "key"
) -> list[str]:
    """List the problems of a document, one sentence each, without repeats.

    Args:
        error: The error that pydantic raised.
        model: The validated model; if it is given, unknown keys get "did you mean".
        prefix: Prefix of each path, such as ``spec.``.
        noun: The word for a key, such as ``option``.
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
        location: Path of the value.
        model: The validated model.
        prefix: Prefix of the path.
        noun: The word for a key.
    """
    # A problem of the whole document has no location: "loadtest: ...", not "loadtest.: ...".
    path = (prefix + ".".join(map(str, location))).rstrip(".")
    where = f"{path}: " if path else ""
    if problem["type"] == "extra_forbidden":
        hint = suggest_similar(str(location[-1]), list_keys(model, location[:-1])) if model else ""
        return f"{where}unknown {noun}{hint}"
    if problem["type"] == "missing":
        return f"{where}missing"
    is_hidden = problem["type"] in {"json_invalid", UNSHOWN} or not location
    got = "" if is_hidden else f", got {_shorten(repr(problem['input']))}"
    return f"{where}{_lowercase_first(problem['msg'])}{got}"


def list_keys(model: type[BaseModel] | None, location: Sequence[str | int]) -> list[str]:
    """List the keys that a model accepts at a path; empty if there is no model at that path.

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


def _lowercase_first(message: str) -> str:
    """Lowercase the first letter of a message, so that it can continue a sentence.

    >>> _lowercase_first("Input should be 'Quick' or 'Full'")
    "input should be 'Quick' or 'Full'"
    """
    for prefix in _PREFIXES:
        message = message.removeprefix(prefix)
    return message[:1].lower() + message[1:]


def _shorten(text: str) -> str:
    """Truncate a long text.

    >>> len(_shorten("x" * 1000))
    80
    """
    return text if len(text) <= _VALUE_LENGTH else f"{text[: _VALUE_LENGTH - 3]}..."
