"""The status of a course: its phase, its students and what they used, and who left. Pure."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

from practicum_core import labels
from practicum_core.course import MAX_ARCHIVED, Course, CoursePhase, CourseStatus, StudentStatus
from practicum_core.phases import ConditionType
from practicum_core.weekjob import Condition

Document = Mapping[str, Any]
_MAX_NAMED = 3


def build_course_status(
    document: Document, phase: CoursePhase, message: str, students: Sequence[StudentStatus], now: dt.datetime
) -> CourseStatus:
    """Return the status of a course.

    Args:
        document: The course as it is on the cluster.
        phase: Where it stands.
        message: The same in a sentence.
        students: Those on the roster, then those who left; of these a bounded number is listed.
        now: The time of the look.
    """
    present = [student for student in students if not student.is_archived]
    archived = [student for student in students if student.is_archived]
    is_ready: Literal["True", "False"] = "False" if phase is CoursePhase.FAILED else "True"
    before = document.get("status", {}).get("conditions", [])
    same = next((one for one in before if one["type"] == "Accepted" and one["status"] == is_ready), None)
    changed = same["lastTransitionTime"] if same else now.isoformat(timespec="seconds")
    condition = Condition(
        type=ConditionType.ACCEPTED,
        status=is_ready,
        reason=phase.value,
        message=message,
        last_transition_time=changed,
    )
    return CourseStatus(
        phase=phase,
        message=message,
        num_students=len(present),
        conditions=[condition],
        observed_generation=document["metadata"].get("generation"),
        num_archived=len(archived),
        students=[*present, *archived[:MAX_ARCHIVED]],
    )


def list_archived(course: Course, namespaces: Mapping[str, Document]) -> list[StudentStatus]:
    """Return the namespaces of students who left, those of students who moved to another one included."""
    present = {student.home for student in course.spec.students}
    marks = {name: home["metadata"].get("labels", {}) for name, home in namespaces.items() if name not in present}
    return [
        StudentStatus(name=own.get(labels.STUDENT, name), namespace=name, is_archived=True)
        for name, own in sorted(marks.items())
        if own.get(labels.COURSE) == course.metadata.name and labels.ARCHIVED in own
    ]


def summarize(faults: Iterable[str]) -> str:
    """Join sentences, each once, and say how many there are beside the first few.

    >>> summarize(["b", "a", "a", "c", "d"])
    'a; b; c; and 1 more'
    """
    return list_some(sorted(set(faults)), "; ")


def list_some(texts: Sequence[str], mark: str) -> str:
    """Join the first few texts and say how many more there are.

    >>> list_some(["a", "b", "c", "d", "e"], ", ")
    'a, b, c, and 2 more'
    """
    rest = len(texts) - _MAX_NAMED
    return mark.join(texts[:_MAX_NAMED]) + (f"{mark}and {rest} more" if rest > 0 else "")
