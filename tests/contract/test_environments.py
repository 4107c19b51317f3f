"""The table of environments and everything that repeats a row of it: locks, images, chart, skaffold, build scripts."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from practicum_controller.settings import DEFAULT_IMAGES
from practicum_core.course import CourseSpec
from practicum_core.environments import ENVIRONMENTS
from practicum_core.stages import STAGES

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("environment", ENVIRONMENTS.values(), ids=lambda row: row.name)
def test_every_environment_has_a_lock_an_image_and_a_place_in_the_chart(environment):
    assert (ROOT / "requirements" / environment.lock).is_file()
    assert (ROOT / "requirements" / environment.lock).with_suffix(".in").is_file()
    dockerfile = (ROOT / "images" / environment.name / "Dockerfile").read_text(encoding="utf-8")
    assert f"requirements/{environment.lock}" in dockerfile
    names = yaml.safe_load((ROOT / "charts/practicum/values.yaml").read_text(encoding="utf-8"))["images"]["names"]
    assert names[environment.name] == environment.image
    artifacts = yaml.safe_load((ROOT / "skaffold.yaml").read_text(encoding="utf-8"))["build"]["artifacts"]
    assert any(artifact["image"].endswith(environment.image) for artifact in artifacts)
    script = (ROOT / "tools/compile-locks.sh").read_text(encoding="utf-8")
    assert re.search(rf"^compile {environment.name}\.in", script, re.MULTILINE)
    assert DEFAULT_IMAGES[environment.name].split("/")[-1].startswith(environment.image)


def test_nothing_has_an_image_that_no_environment_names():
    folders = {path.parent.name for path in ROOT.glob("images/*/Dockerfile")}
    assert folders - {"controller"} == set(ENVIRONMENTS)
    assert set(DEFAULT_IMAGES) == set(ENVIRONMENTS)


def test_every_stage_names_a_row_and_every_row_has_a_stage():
    assert {spec.environment for spec in STAGES.values()} == set(ENVIRONMENTS)


def test_a_course_cannot_name_an_image_of_no_environment():
    with pytest.raises(ValueError, match="no environment is called trian; there are base, train"):
        CourseSpec(images={"trian": "example/trian:1"})
