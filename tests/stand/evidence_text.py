"""What two evidence pages of the same week have in common: their text but for ids, times, paths, machines, commands.

Hashes of data, models and code are compared. The hash of an adapter is not: its config names the base model's path.
"""

from __future__ import annotations

import html
import re

_HIDDEN = re.compile(r"<(script|style|svg)\b.*?</\1>", re.DOTALL)
_TAG = re.compile(r"<[^>]+>")
_NUMBER = r"\d[\d,.]*(?:e-?\d+)?"
_VARIABLE = (
    (re.compile(r"\d{8}t\d{6}-[0-9a-f]{6}"), "RUN"),
    (re.compile(r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(?::\d{2})?(?:\.\d+)?(?: ?UTC|Z|\+00:00)?"), "TIME"),
    (re.compile(r"(?:/[\w.@+-]+){2,}"), "PATH"),
    (re.compile(rf"(?:{_NUMBER} (?:h|min|s|ms) ?)+(?![\w/])"), "DURATION"),
    (re.compile(rf"{_NUMBER} (?:tokens|rows|steps|词元|行|步|样本)/(?:s|秒)"), "RATE"),
    (re.compile(rf"{_NUMBER} [GM]iB"), "MEMORY"),
    (re.compile(r"^(?:\d+\.\d+\.\d+|0\+checkout)$"), "VERSION"),
    (re.compile(r"^\d+ / \d+$"), "CORES"),
    (re.compile(r"^(?:practicum run|python -m practicum_jobs\.agent)\b.*"), "COMMAND"),
)


_HASH = re.compile(r"[0-9a-f]{64}")
_HOLDS_A_PATH = "LoRA adapter in PEFT's format"


def read_text(page: str) -> list[str]:
    """Return the lines that a reader of the page sees, with what may vary replaced by its kind."""
    text = html.unescape(_TAG.sub("\n", _HIDDEN.sub("", page)))
    lines = [line.strip() for line in text.splitlines()]
    shown = [line for line in lines if line]
    return [
        "HASH" if before == _HOLDS_A_PATH and _HASH.fullmatch(line) else _replace(line)
        for before, line in zip(["", *shown], shown, strict=False)
    ]


def _replace(line: str) -> str:
    for pattern, kind in _VARIABLE:
        line = pattern.sub(kind, line)
    return line
