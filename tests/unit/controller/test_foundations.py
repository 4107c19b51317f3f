"""Which week jobs wait for which, when a course is applied at once."""

from __future__ import annotations

import pytest

from practicum_controller.documents import read_week_job
from practicum_controller.foundations import explain_waiting
from practicum_controller.store import Store
from practicum_core.curriculum import VARIANTS
from practicum_core.resolve import resolve_unit

MADE = "2026-01-02T03:04:{:02d}Z"


def build(name, *, second=5, phase=None, **spec):
    metadata = {"name": name, "namespace": "student-01", "uid": f"u-{name}", "creationTimestamp": MADE.format(second)}
    status = {"status": {"phase": phase}} if phase else {}
    return {"kind": "WeekJob", "metadata": metadata, "spec": {"unit": name, **spec}, **status}


def explain(document, *others):
    return explain_waiting(document, resolve_unit(read_week_job(document)), others)


@pytest.mark.parametrize(
    ("other", "is_awaited"),
    [
        (build("week-03"), True),
        (build("week-03", phase="Running"), True),
        (build("again", unit="sft", second=4, phase="Queued"), True),
        (build("week-03", phase="Succeeded"), False),
        (build("week-03", phase="Failed"), False),
        (build("week-02"), False),
        (build("later", unit="sft"), True),
        (build("x-later", unit="sft"), False),
        (build("week-03", second=6), False),
        (build("week-03", unit="nothing"), False),
    ],
)
def test_a_week_waits_for_those_that_it_is_built_on_and_that_came_before(other, is_awaited):
    said = explain(build("week-04"), other)
    assert said == (f"builds on {other['metadata']['name']}, not ended yet" if is_awaited else "")


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_course_applied_at_once_waits_for_earlier_weeks_alone_and_ends_with_all_of_them(variant):
    weeks = [build(f"week-{number:02d}", variant=variant) for number in range(1, len(VARIANTS[variant]) + 1)]
    said = {week["metadata"]["name"]: explain(week, *(one for one in weeks if one is not week)) for week in weeks}
    for name, sentence in said.items():
        assert all(one.strip(",") < name for one in sentence.split() if one.startswith("week-")), sentence
    assert said["week-01"] == ""
    # The last week of each course presents the others.
    assert len([one for one in said.popitem()[1].split() if one.startswith("week-")]) >= 5


def test_what_waits_for_a_suspended_week_says_so():
    said = explain(build("week-04"), build("week-03", phase="Suspended", suspend=True))
    assert said == "builds on week-03 (suspended), not ended yet"


@pytest.mark.parametrize(
    "change",
    [{"phase": "Succeeded"}, {"phase": "Failed"}, {"phase": "Serving"}, {"phase": "Suspended", "suspend": True}],
)
def test_what_has_not_started_is_woken_when_a_week_of_its_namespace_ends_is_suspended_or_goes(change):
    woken = []
    store = Store(woken.append)
    # The status of the one that waits need not say so yet: it is written while the other ends.
    waiting, started = build("week-04"), build("week-07", phase="Running")
    started["status"]["startTime"] = MADE.format(9)
    for version, document in enumerate((build("week-03"), waiting, started, build("week-03", **change))):
        document["metadata"]["resourceVersion"] = str(version + 1)
        woken.clear()
        store.put("WeekJob", document, is_own=True)
    assert set(woken) - {("student-01", "week-03")} == {("student-01", "week-04")}
    woken.clear()
    store.drop("WeekJob", document)
    assert ("student-01", "week-04") in woken
