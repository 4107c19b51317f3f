"""The tokens of a row under the real tokenizer and chat template, counted at the pace of a million rows.

Counting is exact (a test holds it against :meth:`ChatTokenizer.count_tokens` on whole texts). It is quick because
texts of a data set repeat their parts: a rendered conversation is cut where the tokenizer itself cuts (at special
tokens; for byte-level tokenizers also before a lone space and around digits), and a part counted before is looked up.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from practicum_core.errors import DataError
from practicum_core.rows import Row
from practicum_jobs.audit.content import Content
from practicum_jobs.models.tokens import ChatTokenizer, read_chat_template

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
_LONE_PIECE = r"\s?(?:{first})\n?|\s"
"""The same where every blank stands alone: a lone line end closes a piece in every pattern."""
_TWO_BLANKS = re.compile(r"\s\s")
_DIGITS = "0123456789"
_PLAIN_KEYS = 2
"""Role and content."""
_MARK = "\ue0a1"
"""A private character, which no template prints by itself."""


class Counted(NamedTuple):
    """Tokens of conversations.

    A row that the chat template refuses has length 0 and its place in ``refused``. ``unrendered`` are those of whose
    tool calls, or of whose answer's reasoning, the rendered text holds nothing.
    """

    lengths: list[int]
    refused: list[int]
    unrendered: list[int]


class LengthCounter:
    """Counts the tokens of conversations.

    Args:
        folder: The model's folder: tokenizer.json and chat template.
    """

    def __init__(self, folder: Path) -> None:
        self._tokenizer = ChatTokenizer(folder)
        document = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
        self._special = _build_special_pattern(document)
        self.special = _build_mark_pattern(document)
        """The special tokens that a text must not hold."""
        digits = self._tokenizer.count_tokens(list(_DIGITS))
        self._has_lone_digits = _has_lone_digits(document) and set(digits) == {1}
        self._pieces = _build_pieces(document, has_lone_digits=self._has_lone_digits)
        self._frames = _Frames(self._tokenizer, read_chat_template(folder))
        self._known: dict[str, int] = {}

    def count_conversations(self, conversations: Sequence[Content]) -> Counted:
        """Return the tokens of each conversation as training renders it, the answer included."""
        texts: list[str] = []
        refused: list[int] = []
        unrendered: list[int] = []
        for number, conversation in enumerate(conversations):
            try:
                text = self._frames.render(conversation.build_conversation(), conversation.tools)
            except DataError:
                text = ""
                refused.append(number)
            else:
                if conversation.rich is not None and not _shows_parts(text, conversation.rich):
                    unrendered.append(number)
            texts.append(text)
        return Counted(self.count_texts(texts), refused, unrendered)

    def count_texts(self, texts: Sequence[str]) -> list[int]:
        """Return the tokens of each rendered text."""
        if len(self._known) > MAX_KNOWN:
            self._known.clear()
        known = self._known
        rows = [self._special.split(text) if self._special else [text] for text in texts]
        # Splitting by a group keeps the special tokens, at odd places; empty strings count as no tokens.
        special = set().union(*(row[1::2] for row in rows))
        cut = {part: self._cut(part) for part in set().union(*(row[::2] for row in rows))}
        unknown = list(special.union(*(pieces for pieces, _ in cut.values())).difference(known))
        known.update(zip(unknown, self._tokenizer.count_tokens(unknown), strict=True))
        # Rows share parts, such as a system prompt: each is cut and summed once.
        counts = {part: sum([known[piece] for piece in pieces]) + digits for part, (pieces, digits) in cut.items()}
        counts.update((token, known[token]) for token in special)
        return [sum([counts[part] for part in row]) for row in rows]

    def _cut(self, part: str) -> tuple[list[str], int]:
        """Return the pieces of a text without special tokens, and the number of digits that are tokens in no piece."""
        if part in self._known or self._special is None or self._pieces is None or not _PLAIN.fullmatch(part):
            return [part], 0
        pieces = self._pieces.choose(part).findall(part)
        return pieces, len(part) - sum(map(len, pieces)) if self._has_lone_digits else 0


def _build_special_pattern(document: dict[str, Any]) -> re.Pattern[str] | None:
    """Return what cuts a text at added tokens, or ``None`` where one of them swallows its neighbours."""
    tokens = document.get("added_tokens") or []
    if any(token.get(flag) for token in tokens for flag in ("lstrip", "rstrip", "single_word")):
        return None
    contents = sorted((token["content"] for token in tokens), key=len, reverse=True)
    return re.compile("(" + "|".join(re.escape(content) for content in contents) + ")") if contents else None


def _build_mark_pattern(document: dict[str, Any]) -> re.Pattern[str] | None:
    """Return what finds the special tokens in a text; words such as a bare ``mask`` are none."""
    contents = [token["content"] for token in document.get("added_tokens") or [] if token.get("special")]
    marks = [re.escape(content) for content in contents if content and not content.isalnum()]
    return re.compile("|".join(marks)) if marks else None


def _shows_parts(text: str, row: Row) -> bool:
    """Whether a rendered text holds the names of the functions called, and what the answer was reasoned from."""
    names = [call.name for turn in (*row.messages, row.reply) for call in turn.tool_calls]
    reasoning = (row.reply.reasoning_content or "").strip()
    return all(name in text for name in names) and reasoning in text


@dataclass(frozen=True)
class _Pieces:
    """Patterns of parts between which a tokenizer always cuts: for any text, and quicker ones for simpler texts."""

    general: re.Pattern[str]
    lone: re.Pattern[str]
    lone_ascii: re.Pattern[str]

    def choose(self, text: str) -> re.Pattern[str]:
        if _TWO_BLANKS.search(text):
            return self.general
        return self.lone_ascii if text.isascii() else self.lone


def _build_pieces(document: dict[str, Any], *, has_lone_digits: bool) -> _Pieces | None:
    """Return how to cut for a byte-level tokenizer, or ``None`` for other tokenizers.

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
    digits = "" if has_lone_digits else "[0-9]+|"
    return _Pieces(
        re.compile(_PIECE.format(first=digits + _RUN, other=rf"{digits}[^0-9\s]+")),
        re.compile(_LONE_PIECE.format(first=digits + _RUN)),
        re.compile(_LONE_PIECE.format(first=rf"{digits}[^0-9\s]+")),
    )


def _has_lone_digits(document: dict[str, Any]) -> bool:
    """Whether the tokenizer first sets every digit apart."""
    return any(step.get("type") == "Digits" and step.get("individual_digits") for step in _list_steps(document))


def _list_steps(document: dict[str, Any]) -> list[dict[str, Any]]:
    pre_tokenizer = document.get("pre_tokenizer") or {}
    return list(pre_tokenizer.get("pretokenizers", [pre_tokenizer]))


class _Frames:
    """Renders conversations by joining their texts with what the template puts around them.

    A template that only prints the contents (``{{ ... message['content'] ... }}``, at most trimmed) puts the same
    around the same roles: that is rendered once, with marks for the contents. Other templates, and texts with blanks
    at an end, which a template may trim, are rendered in full.
    """

    def __init__(self, tokenizer: ChatTokenizer, template: str) -> None:
        self._tokenizer = tokenizer
        self._is_plain = _prints_contents_only(template)
        self._frames: dict[tuple[str, ...], list[str] | None] = {}

    def render(self, turns: Sequence[dict[str, Any]], tools: Sequence[Any] = ()) -> str:
        contents = [turn["content"] for turn in turns]
        is_plain = self._is_plain and not tools and all(len(turn) == _PLAIN_KEYS for turn in turns)
        if is_plain and all(text == text.strip() and text for text in contents):
            roles = tuple([turn["role"] for turn in turns])
            if roles not in self._frames:
                self._frames[roles] = self._build(roles)
            frame = self._frames[roles]
            if frame is not None:
                return "".join([part for pair in zip(frame, contents, strict=False) for part in pair]) + frame[-1]
        return self._tokenizer.render(turns, add_generation_prompt=False, tools=tools)

    def _build(self, roles: tuple[str, ...]) -> list[str] | None:
        """Return what stands before, between and behind the contents; ``None`` where one is not printed just once."""
        marks = [f"{_MARK}{number}{_MARK}" for number in range(len(roles))]
        turns = [{"role": role, "content": mark} for role, mark in zip(roles, marks, strict=True)]
        rest = self._tokenizer.render(turns, add_generation_prompt=False)
        frame = []
        for mark in marks:
            if rest.count(mark) != 1:
                return None
            before, _, rest = rest.partition(mark)
            frame.append(before)
        return [*frame, rest]


def _prints_contents_only(template: str) -> bool:
    """Whether contents stand in printed expressions alone, where nothing but ``trim`` is done to them.

    >>> _prints_contents_only("{% for m in messages %}{{ m['role'] + m['content'] | trim }}{% endfor %}")
    True
    >>> _prints_contents_only("{% if 'x' in m.content %}y{% endif %}{{ m.content }}")
    False
    >>> _prints_contents_only("{{ m.content.split('</think>')[-1] }}"), _prints_contents_only("{{ m.content | upper }}")
    (False, False)
    """
    template = re.sub(r"'([^']*)'|\"([^\"]*)\"", lambda found: "content" * ("content" in found[0]), template)
    statements = re.findall(r"{%.*?%}", template, re.DOTALL)
    printed = [text for text in re.findall(r"{{.*?}}", template, re.DOTALL) if "content" in text]
    if any("content" in text for text in statements) or not printed:
        return False
    return not any(re.search(r"\(|\[\s*[-\d:]|\bif\b|\|(?!\s*trim\b)|%|\*", text[2:-2]) for text in printed)
