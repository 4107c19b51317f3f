"""How much work waits for a service of engines, as a number that an autoscaler reads. Pure.

KEDA's ``metrics-api`` takes one number out of a JSON document. Without replicas nobody but the gateway knows of work,
so ``load`` counts what waits here too, and it stays above 0 until the last request has ended.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

_WAITING = ("vllm:num_requests_waiting", "llamacpp:requests_deferred")
_RUNNING = ("vllm:num_requests_running", "llamacpp:requests_processing")


@dataclass(frozen=True)
class EngineLoad:
    """Requests of one engine, as it counts them itself: those of other gateways too."""

    num_waiting: int
    num_running: int


@dataclass(frozen=True)
class Demand:
    """Requests of one gateway for a service.

    Attributes:
        num_held: They wait for a first replica.
        num_queued: They wait because the engines have as many as they may.
        num_open: They are at an engine.
    """

    num_held: int
    num_queued: int
    num_open: int


def read_engine_load(page: str) -> EngineLoad | None:
    """Read an engine's page for Prometheus; ``None`` where it tells no queue.

    Engines tell a gauge for each of several models or engine cores; these are added up.

    >>> read_engine_load('vllm:num_requests_waiting{engine="0"} 3.0')
    EngineLoad(num_waiting=3, num_running=0)
    """
    sums: dict[str, float] = {}
    for line in page.splitlines():
        name = line.partition("{")[0].partition(" ")[0]
        if name in _WAITING or name in _RUNNING:
            sums[name] = sums.get(name, 0.0) + _read_number(line)
    waiting = [sums[name] for name in _WAITING if name in sums]
    running = [sums[name] for name in _RUNNING if name in sums]
    return EngineLoad(int(sum(waiting)), int(sum(running))) if waiting or running else None


def build_scaling_document(demand: Demand, engines: Sequence[EngineLoad], num_ready: int) -> Mapping[str, int]:
    """Build what ``/scaling/NAME`` tells.

    ``waiting`` is all that waits somewhere; ``load`` is all that waits or runs, as the engines or the gateway know it,
    whichever is more: engines are asked a moment later, and not every engine tells its queue. ``own_load`` is of this
    gateway alone, and may be added up over several.

    >>> build_scaling_document(Demand(2, 1, 8), [EngineLoad(5, 3)], 1)["load"]
    11
    """
    engine_waiting = sum(one.num_waiting for one in engines)
    engine_running = sum(one.num_running for one in engines)
    here = demand.num_held + demand.num_queued
    return {
        "load": here + max(demand.num_open, engine_waiting + engine_running),
        "own_load": here + demand.num_open,
        "waiting": here + engine_waiting,
        "held": demand.num_held,
        "queued": demand.num_queued,
        "open": demand.num_open,
        "engine_waiting": engine_waiting,
        "engine_running": engine_running,
        "ready": num_ready,
    }


def _read_number(line: str) -> float:
    try:
        number = float(line.rpartition("}")[2].split()[0] if "}" in line else line.split()[1])
    except (IndexError, ValueError):
        return 0.0
    return number if 0 <= number < 10**9 else 0.0
