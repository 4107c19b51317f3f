"""Lists of names in messages: the first ones in full, and that there are more. Pure."""

from __future__ import annotations

from collections.abc import Sequence


def name_some(names: Sequence[str], shown: int) -> str:
    """Name the first ones and count the others.

    >>> name_some(["a", "b", "c"], 2), name_some(["a"], 2)
    ('a, b and 1 more', 'a')
    """
    more = f" and {len(names) - shown} more" if len(names) > shown else ""
    return ", ".join(names[:shown]) + more


def name_first(names: Sequence[str], shown: int) -> str:
    """Name the first ones where the count stands beside them already.

    >>> name_first(["a", "b", "c"], 2), name_first(["a"], 2)
    ('a, b, ...', 'a')
    """
    return ", ".join(names[:shown]) + (", ..." if len(names) > shown else "")
