"""How an action of an experiment is taken back."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Undo:
    """How an action is taken back.

    Attributes:
        what: What it left, for people.
        by_hand: What a person does where :attr:`run` fails.
        run: Takes it back; done twice, it does nothing.
    """

    what: str
    by_hand: str
    run: Callable[[], Awaitable[None]]
