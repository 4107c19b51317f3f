"""The committed manifests are what the models say, and the models accept each of them."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from practicum_cli.weekjob_file import read_weekjob
from practicum_core.course import Course
from practicum_core.crd import KINDS, build_crd
from practicum_core.curriculum import UNITS, VARIANTS
from practicum_core.resolve import resolve_steps
from practicum_core.weekjob import WeekJob

ROOT = Path(__file__).parents[2]
SPEC = importlib.util.spec_from_file_location("build_manifests", ROOT / "tools" / "build_manifests.py")
BUILD = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(BUILD)
FILES = BUILD.build_files()
WEEKS = sorted(ROOT.glob("manifests/course-*/week-*.yaml"))
COURSES = sorted(ROOT.glob("manifests/course-*/course.yaml"))


def get_id(path):
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("name", sorted(FILES))
def test_manifest_is_current(name):
    assert (ROOT / name).read_text(encoding="utf-8") == FILES[name], "run `make docs` and commit manifests"


def test_every_committed_manifest_is_a_generated_one():
    committed = {get_id(path) for path in (ROOT / "manifests").rglob("*") if path.is_file()}
    assert committed == {name for name in FILES if name.startswith("manifests/")}


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_week_has_its_file(variant):
    names = [path.stem for path in WEEKS if path.parent.name == f"course-{variant}"]
    assert names == [f"week-{number:02d}" for number in range(1, len(VARIANTS[variant]) + 1)]


@pytest.mark.parametrize("path", WEEKS, ids=get_id)
def test_week_is_valid_and_runs_where_its_unit_does(path):
    document = yaml.safe_load(path.read_text(encoding="utf-8"))
    weekjob = WeekJob.model_validate(document)
    if UNITS[weekjob.spec.unit].is_implemented:
        assert read_weekjob(path) == weekjob, "the command reads the same file"
        assert resolve_steps(weekjob)


@pytest.mark.parametrize("path", COURSES, ids=get_id)
def test_course_is_valid(path):
    course = Course.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    assert [student.name for student in course.spec.students] == ["student-01", "student-02"]


@pytest.mark.parametrize("path", [*WEEKS, *COURSES], ids=get_id)
def test_comments_are_in_both_languages(path):
    comments = [line for line in path.read_text(encoding="utf-8").splitlines() if line.startswith("#")]
    chinese = [line for line in comments if any("一" <= character <= "鿿" for character in line)]
    assert chinese
    assert len(chinese) < len(comments)


def iter_undescribed(schema, path):
    if not schema.get("description"):
        yield path
    children = schema.get("properties", {}) | schema.get("items", {}).get("properties", {})
    for name, child in children.items():
        yield from iter_undescribed(child, f"{path}.{name}")


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
@pytest.mark.parametrize("part", ["spec", "status"])
def test_explain_has_text_for_each_field(kind, part):
    root = build_crd(kind)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    assert list(iter_undescribed(root["properties"][part], part)) == []


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not on this machine")
@pytest.mark.parametrize("name", ["kind", "gpu"])
def test_overlay_renders_valid_documents(name):
    command = ["kubectl", "kustomize", str(ROOT / "manifests" / "overlays" / name)]
    text = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout
    by_kind = {"WeekJob": WeekJob, "Course": Course}
    documents = [by_kind[document["kind"]].model_validate(document) for document in yaml.safe_load_all(text)]
    weeks = {document.metadata.name: document.spec for document in documents if document.kind == "WeekJob"}
    assert len(weeks) == 10
    assert len(documents) == 11
    slices = {name: spec.resources.gpu.slices for name, spec in weeks.items()}
    assert slices["week-03"] == (1 if name == "gpu" else 0)
    assert slices["week-02"] == 0, "an audit takes no GPU"
    assert weeks["week-03"].resources.workers == 1, "the overlay adds to the week and takes nothing away"
