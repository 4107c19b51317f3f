"""Objects that look like the controller's own and are not: left alone, counted, and logged once each."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from practicum_controller import metrics

LOGGER = logging.getLogger(__name__)
_MAX_KNOWN = 20_000


class Strangers:
    """The objects that were left alone, by their uids. A restart logs them once more."""

    def __init__(self) -> None:
        self._known: dict[str, None] = {}

    def note(self, kind: str, document: Mapping[str, Any], why: str) -> None:
        """Count an object that is left alone, and say why, where that was not done before."""
        metadata = document.get("metadata") or {}
        uid = str(metadata.get("uid"))
        if uid in self._known:
            return
        self._known[uid] = None
        if len(self._known) > _MAX_KNOWN:
            del self._known[next(iter(self._known))]
        metrics.STRANGERS.labels(kind).inc()
        name = f"{metadata.get('namespace', '')}/{metadata.get('name', '')}"
        LOGGER.warning("%s %s is left alone: %s", kind, name, why)
