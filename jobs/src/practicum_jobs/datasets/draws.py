"""Seeded random choices. The same key gives the same choices on every machine and Python version."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

_Item = TypeVar("_Item")
_MASK = (1 << 64) - 1
GOLDEN = 0x9E3779B97F4A7C15


def mix(value: int) -> int:
    """Return 64 well-mixed bits of an integer (the finalizer of SplitMix64, Steele et al. 2014).

    >>> mix(1) != mix(2)
    True
    """
    value &= _MASK
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & _MASK
    return value ^ (value >> 31)


class Draw:
    """A stream of choices that follows from its key alone.

    >>> Draw(1).digits(4) == Draw(1).digits(4)
    True
    """

    def __init__(self, key: int) -> None:
        self._state = mix(key)

    def below(self, bound: int) -> int:
        """Return a number from 0 to ``bound - 1``."""
        self._state = (self._state + GOLDEN) & _MASK
        return mix(self._state) % bound

    def pick(self, pool: Sequence[_Item]) -> _Item:
        """Return one of a pool."""
        return pool[self.below(len(pool))]

    def digits(self, count: int) -> str:
        """Return that many digits."""
        return self.letters("0123456789", count)

    def letters(self, alphabet: str, count: int) -> str:
        """Return that many characters of an alphabet."""
        return "".join(self.pick(alphabet) for _ in range(count))

    def sample(self, pool: Sequence[_Item], count: int) -> list[_Item]:
        """Return that many different members of a pool, in random order."""
        left = list(pool)
        return [left.pop(self.below(len(left))) for _ in range(count)]
