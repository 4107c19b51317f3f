"""Every recipe is a valid configuration of the stage whose folder it lies in."""

from __future__ import annotations

from pathlib import Path

import pytest

from practicum_core.references import parse_reference
from practicum_core.stages import STAGES
from practicum_jobs.__main__ import read_config
from practicum_jobs.models.uris import parse_model_uri

RECIPES = Path(__file__).parents[2] / "jobs" / "recipes"
FILES = sorted(RECIPES.rglob("*.yaml"))


def test_there_are_recipes_for_the_stages_that_have_choices():
    assert {"model", "evaluate", "inference", "judge"} <= {file.parent.name for file in FILES}


@pytest.mark.parametrize("file", FILES, ids=[str(file.relative_to(RECIPES)) for file in FILES])
def test_a_recipe_loads_and_says_what_it_is_for(file):
    config = read_config(STAGES[file.parent.name], file)
    assert config != STAGES[file.parent.name].config() or file.stem in {"smollm2-135m", "lora"}
    assert file.read_text(encoding="utf-8").startswith("# ")
    if hasattr(config, "model") and config.model is not None and parse_reference(config.model) is None:
        parse_model_uri(config.model)
