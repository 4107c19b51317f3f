"""Rules by which kinds are found: a pattern and what a match must pass, in groups that look where it is worth while."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple


class Window(NamedTuple):
    """A part of the form of a text; ``size`` is the length of the anchors in it."""

    start: int
    end: int
    size: int


class Place(NamedTuple):
    """A place in the form of a text."""

    kind: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Rule:
    """How a kind is found in the form of a text.

    ``pattern`` may name a group ``value``, which is then the place and not the whole match. ``needs`` are strings of
    which each match holds one, ``min_size`` how long the
    anchors of its window are at least; both are quicker to see than the pattern.
    """

    kind: str
    pattern: re.Pattern[str]
    is_valid: Callable[[re.Match[str]], bool] = bool
    needs: tuple[str, ...] = ()
    min_size: int = 0

    def find(self, text: str, window: Window, found: list[Place]) -> None:
        """Add the places in a window of the text to those found; what fails is searched again a character later."""
        group = "value" if "value" in self.pattern.groupindex else 0
        start, end = window.start, window.end
        while match := self.pattern.search(text, start, end):
            first, last = match.span(group)
            taken = max((place.end for place in found if first < place.end and place.start < last), default=0)
            if taken:
                start = max(taken, match.start() + 1)
            elif self.is_valid(match):
                found.append(Place(self.kind, first, last))
                start = match.end()
            else:
                start = match.start() + 1


@dataclass(frozen=True, slots=True)
class Group:
    """Rules whose every match holds an anchor, a pattern that is quick to find.

    Args:
        anchor: What to look for first; ``None`` where the rules look at the whole text.
        rules: The most specific first.
        before: Characters of a match that may stand before its first anchor.
        after: Characters that may follow the end of its last anchor, what its borders look at included.
    """

    anchor: re.Pattern[str] | None
    rules: tuple[Rule, ...]
    before: int = 0
    after: int = 0

    def list_windows(self, text: str) -> list[Window]:
        """Return the parts of the text to search, in order, apart from each other."""
        if self.anchor is None:
            return [Window(0, len(text), len(text))]
        windows: list[Window] = []
        for match in self.anchor.finditer(text):
            size = match.end() - match.start()
            start, end = max(0, match.start() - self.before), match.end() + self.after
            if windows and start <= windows[-1].end:
                windows[-1] = Window(windows[-1].start, end, windows[-1].size + size)
            else:
                windows.append(Window(start, end, size))
        return windows


def has_any(text: str, words: tuple[str, ...]) -> bool:
    """Whether one of ``words`` stands in a text; a loop, because ``any`` takes twice the time for short texts."""
    for word in words:  # noqa: SIM110 - see above
        if word in text:
            return True
    return False


def find_places(groups: tuple[Group, ...], text: str) -> list[Place]:
    """Return what the rules find; a place taken by one rule is not given to a later one."""
    found: list[Place] = []
    for group in groups:
        windows = group.list_windows(text)
        if not windows:
            continue
        for rule in group.rules:
            if rule.needs and not has_any(text, rule.needs):
                continue
            for window in windows:
                if window.size >= rule.min_size:
                    rule.find(text, window, found)
    return found
