"""The OpenAPI description of the gateway names the paths, methods and fields that the program has."""

from __future__ import annotations

from pathlib import Path

import yaml

from practicum_gateway import app, pages

DESCRIPTION = Path(__file__).parents[2] / "services/gateway/openapi.yaml"


def test_the_description_has_the_paths_and_methods_of_the_program():
    paths = yaml.safe_load(DESCRIPTION.read_text(encoding="utf-8"))["paths"]
    described = {(path.partition("{")[0], method) for path, item in paths.items() for method in item}
    told = (pages.MODELS, f"{pages.MODELS}/", pages.SCALING, *pages.STATE_PATHS)
    served = {(path, "post") for path in (*app._POST_PATHS, app.SEARCH)} | {(path, "get") for path in told}
    assert described == served, "describe each path of the gateway in services/gateway/openapi.yaml"


def test_only_the_state_is_told_without_a_key():
    paths = yaml.safe_load(DESCRIPTION.read_text(encoding="utf-8"))["paths"]
    is_open = {path for path, item in paths.items() for operation in item.values() if operation.get("security") == []}
    assert is_open == {"/scaling/{service}", *pages.STATE_PATHS}
