"""Delta debugging: the smallest set of candidates with which a test still fails. Pure.

Source: A. Zeller and R. Hildebrandt, "Simplifying and Isolating Failure-Inducing Input", IEEE TSE 28(2), 2002.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

from practicum_core.dossier_files import Outcome

Test = Callable[[Sequence[str]], Outcome]


def minimize(candidates: Sequence[str], test: Test) -> list[str]:
    """Return a subset that fails, and of which no single candidate can be left out.

    An execution that is unclear counts as one that did not show the failure, as in the paper's algorithm ddmin. About
    ``2 log2(n)`` tests find one culprit among ``n`` candidates; many that fail only together take up to ``n ** 2``.

    Args:
        candidates: All of them, with which the test fails.
        test: Executes a subset. It is asked once for each subset.

    >>> minimize(["a", "b", "c", "d"], lambda some: Outcome.BAD if {"b", "d"} <= set(some) else Outcome.GOOD)
    ['b', 'd']
    """
    known: dict[tuple[str, ...], Outcome] = {}

    def fails(subset: Sequence[str]) -> bool:
        key = tuple(subset)
        if key not in known:
            known[key] = test(subset)
        return known[key] is Outcome.BAD

    left, num_parts = list(candidates), 2
    while len(left) > 1:
        parts = split_evenly(left, num_parts)
        rests = [[one for one in left if one not in set(part)] for part in parts]
        part = next(filter(fails, parts), None)
        # With two parts, each rest is the other part.
        rest = next(filter(fails, rests), None) if part is None and num_parts > 2 else None  # noqa: PLR2004
        if part is not None:
            left, num_parts = part, 2
        elif rest is not None:
            left, num_parts = rest, max(num_parts - 1, 2)
        elif num_parts < len(left):
            num_parts = min(2 * num_parts, len(left))
        else:
            break
    return left


def split_evenly(candidates: Sequence[str], num_parts: int) -> list[list[str]]:
    """Split candidates into parts whose sizes differ by one at most, in order.

    >>> split_evenly("abcde", 2)
    [['a', 'b'], ['c', 'd', 'e']]
    """
    bounds = [len(candidates) * part // num_parts for part in range(num_parts + 1)]
    return [list(candidates[start:end]) for start, end in itertools.pairwise(bounds)]
