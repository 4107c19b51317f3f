"""Decides how many tokens a row has under the real tokenizer and chat template, at the pace of a million rows.

Counting is exact (a test holds it against :meth:`ChatTokenizer.count_tokens` on whole texts). It is quick because
texts of a data set repeat their parts: a rendered conversation is cut where the tokenizer itself cuts (at special
tokens; for byte-level tokenizers also before a lone space and around digits), and a part counted before is looked up.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from practicum_core.rows import Message
from practicum_jobs.models.tokens import ChatTokenizer

MAX_KNOWN = 300_000
"""Parts remembered; about 40 MB. When it is full it is emptied, so memory stays bounded on any data."""
_PLAIN = re.compile(r"[\x00-\x7f\u4e00-\u9fff\u3001\u3002\uff01-\uff0f\uff1a-\uff20]*")
"""Texts in which the only digits are ASCII: ``\\p{N}`` of the tokenizers' patterns is ``[0-9]`` there."""
_MARKS = "\u3001\u3002\uff01\uff08\uff09\uff0c\uff1a\uff1b\uff1f"
_RUN = rf"(?:[{_MARKS}]?(?:[^0-9\s{_MARKS}]+|(?<![A-Za-z\u4e00-\u9fff])[{_MARKS}])+|[{_MARKS}])"
"""Letters and marks without digits and blanks; a mark of Chinese behind a letter starts the next run."""
_GLUE = r"(?:(?:[\r\n]\s*|\s{{2,}})(?:{other})?)*"
"""Line ends and runs of blanks with what follows them: patterns differ there, so nothing is cut."""
_PIECE = r"(?:\s?(?:{first})|\s+(?:{other})?)" + _GLUE
_WITH_DIGITS = _PIECE.format(first=f"[0-9]+|{_RUN}", other=r"[0-9]+|[^0-9\s]+")
_WITHOUT_DIGITS = _PIECE.format(first=_RUN, other=r"[^0-9\s]+")
_DIGITS = "0123456789"


class LengthCounter:
    """Counts the tokens of conversations.

    Args:
        folder: The model's folder: tokenizer.json and chat template.
    """

    def __init__(self, folder: Path) -> None:
        self._tokenizer = ChatTokenizer(folder)
        document = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
        self._special = _build_special_pattern(document)
        digits = self._tokenizer.count_tokens(list(_DIGITS))
        self._has_lone_digits = _has_lone_digits(document) and set(digits) == {1}
        self._piece = _build_piece_pattern(document, has_lone_digits=self._has_lone_digits)
        self._known: dict[str, int] = {}

    def count_conversations(self, conversations: Sequence[Sequence[Message | dict[str, str]]]) -> list[int]:
        """Return the tokens of each conversation as training renders it, the answer included."""
        return self.count_texts([self._tokenizer.render(turns, add_generation_prompt=False) for turns in conversations])

    def count_texts(self, texts: Sequence[str]) -> list[int]:
        """Return the tokens of each rendered text."""
        if len(self._known) > MAX_KNOWN:
            self._known.clear()
        known = self._known
        parts = [self._cut(text) for text in texts]
        unknown = list(set().union(*(row for row, _ in parts)).difference(known))
        known.update(zip(unknown, self._tokenizer.count_tokens(unknown), strict=True))
        return [sum([known[part] for part in row]) + num_digits for row, num_digits in parts]

    def _cut(self, text: str) -> tuple[list[str], int]:
        """Return the parts of a text and the number of digits that are tokens by themselves and stand in no part."""
        if self._special is None:
            return [text], 0
        parts: list[str] = []
        num_digits = 0
        # Splitting by a group keeps the special tokens, at odd places; empty strings count as no tokens.
        for place, part in enumerate(self._special.split(text)):
            if place % 2 or part in self._known or self._piece is None or not _PLAIN.fullmatch(part):
                parts.append(part)
                continue
            pieces = self._piece.findall(part)
            parts += pieces
            if self._has_lone_digits:
                num_digits += len(part) - sum(map(len, pieces))
        return parts, num_digits


def _build_special_pattern(document: dict[str, Any]) -> re.Pattern[str] | None:
    """Return what cuts a text at added tokens, or ``None`` where one of them swallows its neighbours."""
    tokens = document.get("added_tokens") or []
    if any(token.get(flag) for token in tokens for flag in ("lstrip", "rstrip", "single_word")):
        return None
    contents = sorted((token["content"] for token in tokens), key=len, reverse=True)
    return re.compile("(" + "|".join(re.escape(content) for content in contents) + ")") if contents else None


def _build_piece_pattern(document: dict[str, Any], *, has_lone_digits: bool) -> re.Pattern[str] | None:
    """Return a pattern of parts between which a byte-level tokenizer always cuts, or ``None`` for other tokenizers.

    Every byte-level pattern in use (GPT-2, cl100k, Llama 3, Qwen) starts a piece at a lone space, takes it only as a
    first character, never joins digits with anything but digits and that space, and ends a piece of letters at a
    mark. Around line ends and runs of blanks the patterns differ; nothing is cut there. A normaliser could change
    the text before the cuts, except for Unicode composition, which leaves plain texts alone.
    """
    normalizer = (document.get("normalizer") or {}).get("type")
    steps = _list_steps(document)
    kinds = [step.get("type") for step in steps]
    has_prefix = any(step.get("add_prefix_space") for step in steps)
    if normalizer not in {None, "NFC"} or "ByteLevel" not in kinds or has_prefix:
        return None
    if not set(kinds) <= {"ByteLevel", "Digits", "Split"}:
        return None
    return re.compile(_WITHOUT_DIGITS if has_lone_digits else _WITH_DIGITS)


def _has_lone_digits(document: dict[str, Any]) -> bool:
    """Whether the tokenizer first sets every digit apart."""
    return any(step.get("type") == "Digits" and step.get("individual_digits") for step in _list_steps(document))


def _list_steps(document: dict[str, Any]) -> list[dict[str, Any]]:
    pre_tokenizer = document.get("pre_tokenizer") or {}
    return list(pre_tokenizer.get("pretokenizers", [pre_tokenizer]))
