"""Whether an answer is JSON that a JSON Schema accepts. References to other documents are not followed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import jsonschema
import referencing
import referencing.exceptions
import referencing.jsonschema

from practicum_core.errors import DataError
from practicum_jobs.scoring.answers import Score, parse_json

_FIX = "correct the row's json_schema (JSON Schema, draft 2020-12, without references to other documents)"


def score_schema(schema: Mapping[str, Any], answer: str) -> Score:
    """Score an answer by a schema.

    Raises:
        DataError: The schema itself is wrong.

    >>> score_schema({"type": "object", "required": ["a"]}, '{"a": 1}').is_exact
    True
    >>> score_schema({"type": "object", "required": ["a"]}, '{"b": 1}').failure
    'schema:required'
    """
    validator = _build_validator(schema)
    is_json, value = parse_json(answer)
    if not is_json:
        return Score(is_exact=False, is_json=False, failure="not_json" if answer.strip() else "empty")
    try:
        problem = jsonschema.exceptions.best_match(validator.iter_errors(value))
    except referencing.exceptions.Unresolvable as error:
        raise DataError(f"the JSON Schema refers to something that is not in it ({error})", _FIX) from error
    failure = f"schema:{problem.validator}" if problem is not None else ""
    return Score(is_exact=not failure, is_json=True, is_mentioned=not failure, failure=failure)


def _build_validator(schema: Mapping[str, Any]) -> Any:  # noqa: ANN401 - untyped library object
    try:
        jsonschema.Draft202012Validator.check_schema(schema)
    except jsonschema.exceptions.SchemaError as error:
        where = "/".join(map(str, error.absolute_path)) or "its root"
        raise DataError(f"the JSON Schema is wrong at {where}: {error.message[:200]}", _FIX) from error
    build: Any = referencing.Registry
    registry = build(retrieve=_refuse_retrieval)
    return jsonschema.Draft202012Validator(json.loads(json.dumps(schema)), registry=registry)


def _refuse_retrieval(uri: str) -> Any:  # noqa: ANN401 - the library's own type
    build: Any = referencing.exceptions.NoSuchResource
    raise build(ref=uri)
