"""Loops that go on whatever one turn of them meets: a fault is logged and counted, and the loop starts again."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from practicum_controller import metrics

LOGGER = logging.getLogger(__name__)
_PAUSE_S = 1.0


async def keep_running(name: str, loop: Callable[[], Awaitable[None]]) -> None:
    """Run a loop until cancelled, anew after each fault of the controller's own.

    Args:
        name: What the metric and the log call it.
        loop: Starts the loop, which ends only by a fault.
    """
    while True:
        try:
            await loop()
        except Exception:
            metrics.LOOP_RESTARTS.labels(name).inc()
            LOGGER.exception("the loop %r ended by a fault and starts again", name)
            await asyncio.sleep(_PAUSE_S)
