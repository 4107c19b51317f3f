"""The choice between engines: canaries by share, the others by weight, the same prompts to the same engine. Pure.

An engine answers faster what begins like an earlier prompt (vLLM's prefix cache). So each beginning has an order of the
engines of its own (weighted rendezvous hashing; Schindelhauer and Schomaker, 2005), which stays as it is where others
come or go. The first in that order gets the request, unless it has more than its share of those that are open
(consistent hashing with bounded loads; Mirrokni, Thorup and Zadimoghaddam, 2018): then the next.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from typing import Protocol, TypeVar

_MAX_OVERLOAD = 1.25
"""An engine may have so many times its share of the open requests before the next in the order gets one."""
_MASK = (1 << 64) - 1


class Engine(Protocol):
    """What the choice needs to know of an engine.

    Attributes:
        seed: 64 bits of its own, the same in every gateway.
        weight: Share of the requests against the others; 0 gets none.
        canary_share: Share of all requests; 0 for one that is no canary.
        canary_name: What the canaries that share one share have in common.
        num_open: Requests that it has now.
    """

    @property
    def seed(self) -> int: ...  # noqa: D102 - above
    @property
    def weight(self) -> float: ...  # noqa: D102 - above
    @property
    def canary_share(self) -> float: ...  # noqa: D102 - above
    @property
    def canary_name(self) -> str: ...  # noqa: D102 - above
    @property
    def num_open(self) -> int: ...  # noqa: D102 - above


AnyEngine = TypeVar("AnyEngine", bound=Engine)


def hash_text(text: bytes) -> int:
    """Return 64 bits for a text, the same in every process.

    >>> hash_text(b"a") == hash_text(b"a") != hash_text(b"b")
    True
    """
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest())


class Router:
    """Chooses engines. It remembers what canaries are still due."""

    def __init__(self) -> None:
        self._due: dict[str, float] = {}
        self._num_chosen = 0

    def choose(self, engines: Sequence[AnyEngine], key: int | None) -> AnyEngine:
        """Choose one of several engines.

        Args:
            engines: One at least.
            key: Hash of how the prompt begins; ``None`` where that shall not count.
        """
        if len(engines) == 1:
            return engines[0]
        if key is None:
            self._num_chosen += 1
            key = self._num_chosen
        canary = self._find_due_canary(engines)
        among = [one for one in engines if one.canary_share and one.canary_name == canary] if canary else []
        if not among:
            among = [one for one in engines if not one.canary_share] or list(engines)
        return _choose_in_order(among, key)

    def _find_due_canary(self, engines: Sequence[AnyEngine]) -> str | None:
        """Return the canary that the next request is for; shares are kept by request, however prompts begin."""
        shares = {one.canary_name: one.canary_share for one in engines if one.canary_share}
        for name, share in shares.items():
            self._due[name] = self._due.get(name, 0.0) + share
        due = max(shares, key=self._due.__getitem__, default=None)
        # Sums of shares such as 0.1 stay a little below 1.
        if due is None or self._due[due] < 1 - 1e-9:
            return None
        self._due[due] -= 1
        return due


def _choose_in_order(engines: Sequence[AnyEngine], key: int) -> AnyEngine:
    weights = [one.weight for one in engines]
    total_weight = sum(weights)
    if not total_weight:
        # Canaries without a weight of their own, or nothing but engines that get no requests any more.
        weights, total_weight = [1.0] * len(engines), float(len(engines))
    most = _MAX_OVERLOAD * (1 + sum(one.num_open for one in engines)) / total_weight
    order = sorted(range(len(engines)), key=lambda at: _rank(key, engines[at].seed, weights[at]))
    for at in order:
        if engines[at].num_open < math.ceil(most * weights[at]):
            return engines[at]
    return engines[order[0]]


def _rank(key: int, seed: int, weight: float) -> float:
    """Return the place of an engine in the order of a key: exponential with the weight as its rate, least first."""
    if weight <= 0:
        return math.inf
    share = (_mix(key ^ seed) + 0.5) / (_MASK + 1)
    return -math.log(share) / weight


def _mix(value: int) -> int:
    """Mix 64 bits (the finalizer of splitmix64; Steele, Lea and Flood, 2014)."""
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & _MASK
    return value ^ (value >> 31)
