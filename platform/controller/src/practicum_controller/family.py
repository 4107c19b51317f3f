"""What belongs to one week job on the cluster: its children, their pods, Workloads and warnings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from practicum_controller.backends import CHILD_KINDS
from practicum_core import labels

Document = dict[str, Any]
_MAX_COUNT_DIGITS = 6


@dataclass
class Family:
    """A week job's children, their pods, Workloads and warnings, each by uid."""

    children: dict[str, Document] = field(default_factory=dict)
    clusters: dict[str, Document] = field(default_factory=dict)
    pods: dict[str, Document] = field(default_factory=dict)
    workloads: dict[str, Document] = field(default_factory=dict)
    warnings: dict[str, Document] = field(default_factory=dict)

    @property
    def is_empty(self) -> bool:
        """Whether nothing is left."""
        return not (self.children or self.clusters or self.pods or self.workloads or self.warnings)

    def select(self, kind: str) -> dict[str, Document]:
        """Return the members of one kind, together with those of its like."""
        members = {
            "RayCluster": self.clusters,
            "Pod": self.pods,
            "Workload": self.workloads,
            "Event": self.warnings,
        }
        return members.get(kind, self.children)

    def attribute_event(self, event: Document) -> None:
        """Make an event about a Ray cluster one about the RayJob that the cluster belongs to."""
        cluster = self.clusters.get(event["involvedObject"].get("uid", ""))
        if cluster is not None and cluster.get("owners"):
            event["involvedObject"] = event["involvedObject"] | {"uid": cluster["owners"][0]}


def list_parents(kind: str, document: Document) -> list[str]:
    """Return the uids of what an object may belong to, as it says itself."""
    if kind == "Event":
        return [str((document.get("involvedObject") or {}).get("uid", ""))]
    marked = get_week_job_uid(document)
    return [*document.get("owners", ()), *([marked] if marked else [])]


def get_week_job_uid(document: Mapping[str, Any]) -> str:
    """Return the uid of the week job that an object is labelled with; empty without such a label."""
    return str(document["metadata"].get("labels", {}).get(labels.WEEK_JOB_UID, ""))


def get_reason_foreign(document: Mapping[str, Any]) -> str | None:
    """Say why an object that is labelled as a child of a week job is none of the controller's, if so.

    Anybody may write labels. A child of the controller's has an owner reference to the week job that it is labelled
    with, names its step, and counts its attempt and its GPU slices.

    >>> get_reason_foreign({"kind": "Job", "metadata": {"labels": {labels.WEEK_JOB_UID: "abc"}}})
    'it has no owner reference to the week job abc'
    """
    if document["kind"] not in CHILD_KINDS:
        return None
    uid = get_week_job_uid(document)
    if uid not in document.get("owners", ()):
        return f"it has no owner reference to the week job {uid}"
    marks = document["metadata"].get("labels", {})
    if not marks.get(labels.STEP):
        return f"it has no label {labels.STEP}"
    for name in (labels.ATTEMPT, labels.SLICES):
        if read_count(marks.get(name, "0")) is None:
            return f"its label {name} is no number: {marks[name]!r}"
    return None


def read_count(text: str) -> int | None:
    """Return the number that a label carries; ``None`` for anything else.

    >>> read_count("12"), read_count("two"), read_count("-1"), read_count("9" * 40)
    (12, None, None, None)
    """
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= _MAX_COUNT_DIGITS else None


def get_attempt(document: Mapping[str, Any]) -> int:
    """Return which attempt of its step an object belongs to; the first where its label is none of ours."""
    return read_count(document["metadata"].get("labels", {}).get(labels.ATTEMPT, "")) or 1


def get_slices(document: Mapping[str, Any]) -> int:
    """Return how many GPU slices a child asks for; none where its label is none of ours."""
    return read_count(document["metadata"].get("labels", {}).get(labels.SLICES, "")) or 0
