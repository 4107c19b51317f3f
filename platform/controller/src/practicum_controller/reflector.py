"""The controller's copy of one kind, kept current: list, watch, and list again when that was cut off.

A selector on the server spares the events of everything else on the cluster, and a list after a gap shows what
vanished in it. What is not kept of an object is dropped page by page, so a list takes no more memory than its copy.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Any

from practicum_controller.client import ApiFault, KubernetesCluster
from practicum_controller.excerpt import trim
from practicum_controller.kinds import Resource
from practicum_controller.store import Store

LOGGER = logging.getLogger(__name__)
_PAUSE_S, _ABSENT_PAUSE_S = 1.0, 10.0
_NOT_FOUND = 404


class Reflector:
    """Keeps the objects of one kind.

    Args:
        cluster: Where they are.
        store: Where they are kept.
        resource: Their kind and where they live.
        selection: Label and field selectors on the server.
        accept: Which objects are kept.
    """

    def __init__(
        self,
        cluster: KubernetesCluster,
        store: Store,
        resource: Resource,
        selection: Mapping[str, str],
        accept: Callable[[dict[str, Any]], bool] = lambda _: True,
    ) -> None:
        self._cluster = cluster
        self._store = store
        self._resource = resource
        self._selection = selection
        self._accept = accept
        self.is_synced = asyncio.Event()
        self.is_absent = False

    @property
    def kind(self) -> str:
        """The kind of the objects."""
        return self._resource.kind

    async def run(self) -> None:
        """Reflect until cancelled."""
        while True:
            try:
                await self._reflect()
            except ApiFault as fault:
                was_absent, self.is_absent = self.is_absent, fault.status == _NOT_FOUND
                if self.is_absent:
                    # The kind is not installed: nothing of it can be there.
                    self.is_synced.set()
                if not (fault.is_too_old or (was_absent and self.is_absent)):
                    LOGGER.warning("watch of %s ended: %s", self._resource.plural, fault.detail)
                await asyncio.sleep(_ABSENT_PAUSE_S if self.is_absent else _PAUSE_S)

    async def _reflect(self) -> None:
        kept: list[dict[str, Any]] = []
        version = ""
        async for page, listed_at in self._cluster.list_pages(self._resource, self._selection):
            version = listed_at
            kept += [found for one in page if (found := self._read(one)) is not None]
        self.is_absent = False
        self._store.replace(self._resource.kind, kept)
        self.is_synced.set()
        while True:
            async for change, document in self._cluster.watch(self._resource, version, self._selection):
                version = document["metadata"]["resourceVersion"]
                if change == "BOOKMARK" or not self._accept(document):
                    continue
                self._take(change, document)

    def _read(self, document: dict[str, Any]) -> dict[str, Any] | None:
        """Return what is kept of an object of a list; ``None`` where it is not wanted, or cannot be read."""
        try:
            return trim({"kind": self._resource.kind, **document}) if self._accept(document) else None
        except Exception as error:  # noqa: BLE001 - whatever one object holds must not hide the others
            self._store.strangers.note(self._resource.kind, document, f"it cannot be read: {error!r}")
            return None

    def _take(self, change: str, document: dict[str, Any]) -> None:
        """Take a change; one that cannot be read is left out, and the next of its object may be whole again."""
        try:
            if change == "DELETED":
                self._store.drop(self._resource.kind, document)
            else:
                self._store.put(self._resource.kind, document)
        except Exception as error:  # noqa: BLE001 - as above
            self._store.strangers.note(self._resource.kind, document, f"it cannot be read: {error!r}")
