"""Objects that a course made and no longer needs: removed priorities, and queues that have another name now."""

from __future__ import annotations

import urllib.parse

from practicum_controller.client import Cluster
from practicum_controller.course.homes import build_local_queue
from practicum_controller.course.queues import build_priorities
from practicum_controller.documents import Document
from practicum_controller.kinds import LOCAL_QUEUES, PRIORITY_CLASSES
from practicum_core import labels
from practicum_core.course import Course, Student


async def remove_priorities(cluster: Cluster, course: Course, uid: str) -> None:
    """Delete the priorities that this course made and no longer names.

    Raises:
        ApiFault: The API server refused it.
    """
    wanted = {one["metadata"]["name"] for one in build_priorities(course)}
    for metadata in await _list_own(cluster, PRIORITY_CLASSES.build_path(), course):
        is_own = any(owner["uid"] == uid for owner in metadata.get("ownerReferences", ()))
        if is_own and metadata["name"] not in wanted:
            await cluster.delete(PRIORITY_CLASSES, None, metadata["name"], metadata["uid"])


async def remove_queues(cluster: Cluster, course: Course, student: Student) -> None:
    """Delete the student's queues of this course that an earlier version made under another name.

    What runs of such a queue goes on; what waits in it is made anew in the present one.

    Raises:
        ApiFault: The API server refused it.
    """
    wanted = build_local_queue(course, student)["metadata"]["name"]
    for metadata in await _list_own(cluster, LOCAL_QUEUES.build_path(student.home), course):
        if metadata["name"] != wanted:
            await cluster.delete(LOCAL_QUEUES, student.home, metadata["name"], metadata["uid"])


async def _list_own(cluster: Cluster, path: str, course: Course) -> list[Document]:
    """Return the metadata of the objects of one kind that the controller made for a course."""
    marks = f"{labels.COURSE}={course.metadata.name},app.kubernetes.io/managed-by={labels.MANAGER}"
    found = await cluster.read(f"{path}?labelSelector={urllib.parse.quote(marks)}")
    return [one["metadata"] for one in (found or {}).get("items", ())]
