"""Courses as their week jobs need them: read once for each version, with the students by namespace."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from practicum_controller.documents import read_course
from practicum_core.course import Course, Student

Document = dict[str, Any]


@dataclass(frozen=True)
class Roster:
    """A course and who takes part in it, by namespace."""

    course: Course
    students: dict[str, Student]


class Rosters:
    """Reads courses. One of a thousand students takes milliseconds to check, and each of its week jobs asks for it."""

    def __init__(self) -> None:
        self._kept: dict[str, tuple[Document, Roster]] = {}

    def read(self, document: Document) -> Roster:
        """Return the roster of a course.

        Raises:
            ConfigError: The definition in the cluster lets through what this version refuses.
        """
        name = document["metadata"]["name"]
        kept = self._kept.get(name)
        if kept is not None and kept[0] is document:
            return kept[1]
        course = read_course(document)
        roster = Roster(course, {student.home: student for student in course.spec.students})
        self._kept[name] = (document, roster)
        return roster
