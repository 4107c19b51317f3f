"""Probes of experiments: what they find in the service, and whether that is what the hypothesis says."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from practicum_core.errors import ConfigError
from practicum_jobs.chaos.world import World


async def get_rung(world: World) -> str:
    """Return the rung of the gateway's ladder.

    Raises:
        ConfigError: The server has none.
    """
    ladder = await world.read_ladder()
    if ladder is None:
        raise ConfigError("get_rung: the server has no ladder", "set gateway.ladder=true, or leave the probe out")
    return ladder.rung


async def measure_full_answers(world: World, num_requests: int = 3) -> float:
    """Return the share of so many requests that the model answers as it is asked.

    Raises:
        ConfigError: The number is none of requests.
    """
    if not isinstance(num_requests, int) or num_requests < 1:
        raise ConfigError(
            f"measure_full_answers: num_requests is {num_requests!r}", "give a whole number of at least 1"
        )
    answered = [await world.ask_in_full() for _ in range(num_requests)]
    return sum(answered) / len(answered)


PROBES: Mapping[str, Callable[..., Awaitable[Any]]] = {
    "get_rung": get_rung,
    "measure_full_answers": measure_full_answers,
}
"""What a hypothesis may ask, by name."""


def is_within(found: object, tolerance: object) -> bool:
    """Whether a probe found what it must.

    Args:
        found: By the probe.
        tolerance: A value that it must be, or ``{"type": "range", "range": [low, high]}``.

    Raises:
        ConfigError: The tolerance is neither.

    >>> is_within("full", "full"), is_within(0.5, {"type": "range", "range": [0.9, 1]})
    (True, False)
    """
    if not isinstance(tolerance, Mapping):
        return found == tolerance
    bounds = tolerance.get("range")
    if tolerance.get("type") != "range" or not isinstance(bounds, list) or len(bounds) != 2:  # noqa: PLR2004 - a pair
        raise ConfigError(
            f"tolerance {dict(tolerance)}: expected a value or a range",
            "write {type: range, range: [low, high]}",
        )
    return isinstance(found, int | float) and bounds[0] <= found <= bounds[1]
