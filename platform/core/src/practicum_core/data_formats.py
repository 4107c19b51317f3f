"""The formats of data rows and the types of data files that can be read, as the help lists them."""

from __future__ import annotations

from typing import Literal

Format = Literal["auto", "alpaca", "chat", "completion", "preference"]

FORMATS: dict[Format, str] = {
    "alpaca": "instruction, output; optional input, system, history ([[question, answer], ...])",
    "chat": "messages (role, content) or conversations (from, value); optional system, tools, answer",
    "completion": "prompt|question|query|problem|input with completion|response|answer|solution|output; optional"
    " system, history, context",
    "preference": "chosen, rejected (texts, messages or lists of messages); the prompt as in the formats above, or what"
    " both sides start with; or an output that lists a better and a worse answer",
}
"""Columns of each format. The format of each row is detected by its columns; one file may mix formats."""

COMMON_COLUMNS = "id, task, language, group, and label|kto_tag (true or false: unpaired preference, KTO)"

FILE_KINDS: dict[str, str] = {
    ".jsonl .ndjson .json": "one object a line, one array, objects over several lines, or a list under one key"
    ' ({"data": [...]})',
    ".csv .tsv": "a header and one row a record; separated by comma, semicolon or tab",
    ".parquet .arrow": "Parquet, Arrow streams and files, folders of save_to_disk",
}
"""File suffixes (case-insensitive) and what the files hold. Text files may also end in :data:`COMPRESSIONS`."""

COMPRESSIONS = (".gz", ".zst")
TEXT_SUFFIXES = (".jsonl", ".ndjson", ".json", ".csv", ".tsv")
SUFFIXES = (*TEXT_SUFFIXES, ".parquet", ".arrow")


def get_suffix(name: str) -> str:
    """Return the suffix of a file name in lower case, without the suffix of a compression.

    >>> get_suffix("train.JSONL.gz"), get_suffix("a.parquet"), get_suffix("README")
    ('.jsonl', '.parquet', '')
    """
    name = name.lower()
    for ending in COMPRESSIONS:
        name = name.removesuffix(ending)
    stem, dot, suffix = name.rpartition(".")
    return dot + suffix if stem else ""
