"""What two evidence pages of the same week have in common: their text but for ids, times, paths, machines, commands."""

from __future__ import annotations

import html
import re

_HIDDEN = re.compile(r"<(script|style|svg)\b.*?</\1>", re.DOTALL)
_TAG = re.compile(r"<[^>]+>")
_NUMBER = r"\d[\d,.]*(?:e-?\d+)?"
_VARIABLE = (
    (re.compile(r"\d{8}t\d{6}-[0-9a-f]{6}"), "RUN"),
    (re.compile(r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(?::\d{2})?(?:\.\d+)?(?: ?UTC|Z|\+00:00)?"), "TIME"),
    (re.compile(r"\b[0-9a-f]{12,64}\b"), "HASH"),
    (re.compile(r"(?:/[\w.@+-]+){2,}"), "PATH"),
    (re.compile(rf"(?:{_NUMBER} (?:h|min|s|ms) ?)+(?![\w/])"), "DURATION"),
    (re.compile(rf"{_NUMBER} (?:tokens|rows|steps|词元|行|步|样本)/(?:s|秒)"), "RATE"),
    (re.compile(rf"{_NUMBER} [GM]iB"), "MEMORY"),
    (re.compile(r"^(?:\d+\.\d+\.\d+|0\+checkout)$"), "VERSION"),
    (re.compile(r"^\d+ / \d+$"), "CORES"),
    (re.compile(r"^(?:practicum run|python -m practicum_jobs\.agent)\b.*"), "COMMAND"),
)


def read_text(page: str) -> list[str]:
    """Return the lines that a reader of the page sees, with what may vary replaced by its kind."""
    text = html.unescape(_TAG.sub("\n", _HIDDEN.sub("", page)))
    lines = [line.strip() for line in text.splitlines()]
    return [_replace(line) for line in lines if line]


def _replace(line: str) -> str:
    for pattern, kind in _VARIABLE:
        line = pattern.sub(kind, line)
    return line
