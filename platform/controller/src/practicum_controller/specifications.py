"""Week jobs as they are written, with the steps of their units: resolved once for each specification."""

from __future__ import annotations

import json
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

from practicum_controller.documents import read_week_job
from practicum_core.resolve import ResolvedUnit, resolve_unit
from practicum_core.weekjob import WeekJob

Document = dict[str, Any]
_MAX_KEPT = 1_000
"""Units kept. A whole class applies the same few specifications."""


@dataclass(frozen=True)
class Specification:
    """What a student wrote, and the unit with its steps that follows from it."""

    weekjob: WeekJob
    unit: ResolvedUnit


class Specifications:
    """Reads week jobs. To resolve a unit takes most of a first look, and it is the same for all who wrote the same.

    >>> document = {"metadata": {"name": "week-01", "namespace": "student-01"}, "spec": {"unit": "data"}}
    >>> other = {"metadata": {"name": "week-01", "namespace": "student-02"}, "spec": {"unit": "data"}}
    >>> specifications = Specifications()
    >>> specifications.read(document).unit is specifications.read(other).unit
    True
    """

    def __init__(self) -> None:
        self._units: OrderedDict[str, ResolvedUnit] = OrderedDict()

    def read(self, document: Document) -> Specification:
        """Return the specification of a week job.

        Raises:
            ConfigError: The definition in the cluster lets through what this version refuses; every problem is named.
        """
        weekjob = read_week_job(document)
        written = json.dumps(document.get("spec", {}), sort_keys=True)
        unit = self._units.pop(written, None) or resolve_unit(weekjob)
        self._units[written] = unit
        if len(self._units) > _MAX_KEPT:
            self._units.popitem(last=False)
        return Specification(weekjob, unit)
