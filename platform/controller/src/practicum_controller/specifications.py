"""Week jobs as they are written, with the steps of their units: resolved once for each specification."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

from practicum_controller.documents import read_week_job
from practicum_core.resolve import ResolvedUnit, resolve_unit
from practicum_core.weekjob import WeekJob

Document = dict[str, Any]
_MAX_KEPT = 1_000
"""Specifications kept. A week job is looked at several times in a row, and then rarely."""


@dataclass(frozen=True)
class Specification:
    """What a student wrote, and the unit with its steps that follows from it."""

    weekjob: WeekJob
    unit: ResolvedUnit


class Specifications:
    """Reads week jobs. To resolve a unit takes milliseconds, and each change of a pod asks for it.

    >>> document = {"metadata": {"uid": "1", "name": "week-01", "namespace": "student-01"}, "spec": {"unit": "data"}}
    >>> specifications = Specifications()
    >>> specifications.read(document) is specifications.read(dict(document, status={"phase": "Queued"}))
    True
    """

    def __init__(self) -> None:
        self._kept: OrderedDict[str, tuple[Document, Specification]] = OrderedDict()

    def read(self, document: Document) -> Specification:
        """Return the specification of a week job.

        Raises:
            ConfigError: The definition in the cluster lets through what this version refuses; every problem is named.
        """
        uid, written = document["metadata"]["uid"], document.get("spec", {})
        kept = self._kept.pop(uid, None)
        if kept is None or kept[0] != written:
            weekjob = read_week_job(document)
            kept = written, Specification(weekjob, resolve_unit(weekjob))
        self._kept[uid] = kept
        if len(self._kept) > _MAX_KEPT:
            self._kept.popitem(last=False)
        return kept[1]
