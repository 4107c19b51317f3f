"""A client of the cluster that stops at one of its changes."""

from __future__ import annotations

import asyncio


class FaultyCluster:
    """Stops for ever at its N-th change, before it was made or before its answer was read, and says so.

    Whoever holds it is then cancelled: nothing of it runs on, as after SIGKILL.
    """

    def __init__(self, cluster, at, *, is_after, namespace=None):
        self._cluster, self._at, self._is_after, self._namespace = cluster, at, is_after, namespace
        self.calls = []
        self.is_tripped = asyncio.Event()

    def __getattr__(self, name):
        call = getattr(self._cluster, name)
        if name not in {"apply", "make", "patch", "delete"}:
            return call

        async def tripping(resource, *arguments, **options):
            where = arguments[0]["metadata"].get("namespace") if name in {"apply", "make"} else arguments[0]
            if self._namespace is not None and where != self._namespace:
                return await call(resource, *arguments, **options)
            self._note(f"{name} {resource.plural}")
            is_now = len(self.calls) == self._at
            if is_now and not self._is_after:
                await self._die()
            answer = await call(resource, *arguments, **options)
            if is_now:
                await self._die()
            return answer

        return tripping

    def _note(self, change):
        self.calls.append(change)

    async def _die(self):
        self.is_tripped.set()
        await asyncio.Event().wait()
