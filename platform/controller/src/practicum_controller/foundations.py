"""Whether a week job waits for earlier ones: those whose results it is built on, and that have not ended. Pure.

A whole course may so be applied at once: each week starts when the weeks that it names (``latest:UNIT``) have ended.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from typing import Any

from practicum_core.curriculum import get_unit
from practicum_core.earlier_runs import choose_unit
from practicum_core.errors import ConfigError
from practicum_core.phases import Phase
from practicum_core.references import list_references
from practicum_core.resolve import ResolvedUnit
from practicum_core.weekjob import WeekJobSpec

_VARIANT = WeekJobSpec.model_fields["variant"].default
_DONE = frozenset({Phase.SUCCEEDED.value, Phase.FAILED.value, Phase.SERVING.value})
"""Phases in which all tasks of a week job have ended."""


def explain_waiting(document: dict[str, Any], unit: ResolvedUnit, others: Iterable[dict[str, Any]]) -> str:
    """Say which earlier week jobs a week job waits for; empty where it may start.

    Args:
        document: The week job, which has not started.
        unit: Its unit.
        others: The week jobs of its namespace. Only those count that were applied before, by time and then by name,
            so that no two wait for each other.
    """
    wanted = _list_units(unit, document["spec"].get("variant", _VARIANT))
    if not wanted:
        return ""
    own = _get_place(document)
    names = sorted(_name(one) for one in others if _get_place(one) < own and _is_awaited(one, wanted))
    return f"builds on {', '.join(names)}, not ended yet" if names else ""


def get_standing(document: dict[str, Any]) -> tuple[bool, bool]:
    """Return whether all tasks of a week job have ended, and whether it is suspended: what others say of it.

    >>> get_standing({"spec": {"suspend": True}, "status": {"phase": "Suspended"}})
    (False, True)
    """
    is_done = document.get("status", {}).get("phase") in _DONE
    return is_done, bool((document.get("spec") or {}).get("suspend"))


def _name(document: dict[str, Any]) -> str:
    """Return its name; a suspended one never ends by itself, so that waiting alone does not help."""
    _, is_suspended = get_standing(document)
    return f"{document['metadata']['name']}{' (suspended)' if is_suspended else ''}"


def _list_units(unit: ResolvedUnit, variant: int) -> frozenset[str]:
    """Return the units whose latest runs are named."""
    references = [one.reference for one in list_references(step.config for step in unit.steps)]
    found = set()
    for reference in references:
        # What names no unit is told by the pod that looks for it.
        with contextlib.suppress(ConfigError):
            found |= {choose_unit(reference.name, variant)} if reference.kind == "latest" else set()
    return frozenset(found)


def _get_place(document: dict[str, Any]) -> tuple[str, str]:
    metadata = document["metadata"]
    return metadata["creationTimestamp"], metadata["name"]


def _is_awaited(document: dict[str, Any], units: frozenset[str]) -> bool:
    is_done, _ = get_standing(document)
    if is_done or document["metadata"].get("deletionTimestamp"):
        return False
    spec = document.get("spec") or {}
    try:
        return get_unit(spec["unit"], spec.get("variant", _VARIANT)).name in units
    except (ConfigError, KeyError, TypeError):
        return False
