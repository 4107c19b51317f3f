"""The quotas of the sample courses hold each week, and a whole course that a student applies at once."""

from __future__ import annotations

import datetime as dt
import importlib.util
from pathlib import Path

import pytest
import yaml

from practicum_controller.backends.fit import find_unfit
from practicum_controller.backends.request import ChildRequest
from practicum_controller.documents import read_week_job
from practicum_controller.foundations import explain_waiting
from practicum_controller.settings import Settings
from practicum_core.course import Course
from practicum_core.lifetimes import list_coexisting
from practicum_core.plan import StepObject
from practicum_core.resolve import resolve_unit

ROOT = Path(__file__).parents[2]
SPEC = importlib.util.spec_from_file_location("build_manifests", ROOT / "tools" / "build_manifests.py")
BUILD = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(BUILD)
MADE_AT = "2026-01-05T12:00:00Z"
COURSES = {
    "course-8": (8, {}, {}),
    "course-10": (10, {}, {}),
    "course-12": (12, {}, {}),
    "overlays/kind": (BUILD.OVERLAY_VARIANT, BUILD.KIND_WEEK, BUILD.KIND_COURSE),
    "overlays/gpu": (BUILD.OVERLAY_VARIANT, BUILD.GPU_WEEK, BUILD.GPU_COURSE),
}


class SampleCourse:
    """A course and its weeks, with what an overlay changes in them."""

    def __init__(self, variant, week_patch, course_patch):
        folder = ROOT / f"manifests/course-{variant}"
        document = yaml.safe_load((folder / "course.yaml").read_text(encoding="utf-8"))
        self.spec = Course.model_validate(document | {"spec": document["spec"] | course_patch}).spec
        self.weeks = [self._read(path, week_patch) for path in sorted(folder.glob("week-*.yaml"))]

    def _read(self, path, patch):
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
        document["metadata"] |= {"namespace": "student-01", "uid": path.stem, "creationTimestamp": MADE_AT}
        document["spec"] |= patch
        return document, resolve_unit(read_week_job(document))

    def list_groups(self, document, unit):
        """Return the children that exist together, group by group."""
        weekjob = read_week_job(document)
        shared = (weekjob, document["metadata"]["uid"], dt.datetime.fromisoformat(MADE_AT))
        groups = list_coexisting(unit.steps, keeps_servers=False)
        return [
            [ChildRequest(*shared, StepObject(step, 1), "c", self.spec, Settings()) for step in group]
            for group in groups
        ]

    def list_free(self):
        """Return the groups of each week with servers that waits for no other week."""
        others = [document for document, _ in self.weeks]
        free = [week for week in self.weeks if not explain_waiting(*week, others)]
        groups = [self.list_groups(*week) for week in free]
        return [each for each in groups if any(one.item.step.spec.is_server for group in each for one in group)]


@pytest.mark.parametrize("name", COURSES)
def test_each_week_fits_the_quota_of_a_student(name):
    course = SampleCourse(*COURSES[name])
    groups = [group for week in course.weeks for group in course.list_groups(*week)]
    assert [found for group in groups if (found := find_unfit(group))] == []


@pytest.mark.parametrize("name", set(COURSES) - {"overlays/kind"})
def test_servers_of_weeks_applied_at_once_leave_room_for_a_step_that_ends(name):
    """Else each week's servers would hold what the step of the other waits for, until a deadline ends them."""
    course = SampleCourse(*COURSES[name])
    free = course.list_free()
    assert len(free) == 2
    servers = [
        max(([one for one in group if one.item.step.spec.is_server] for group in each), key=len) for each in free
    ]
    for groups, beside in zip(free, reversed(servers), strict=True):
        for group in groups:
            assert find_unfit([*group, *beside]) == {}
