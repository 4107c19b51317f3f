"""Decides which parts of a text are credentials: by the form their issuers gave them, or by assignment and entropy."""

from __future__ import annotations

import math
import re
from collections import Counter
from enum import StrEnum

from practicum_jobs.text.pii import Match, normalise_for_search


class SecretKind(StrEnum):
    """What a credential opens."""

    AWS_KEY = "aws_key"
    """Amazon Web Services access key id."""
    OPENAI_KEY = "openai_key"
    """Key of OpenAI's form (``sk-``), which many model services share."""
    GITHUB_TOKEN = "github_token"  # noqa: S105 - a kind's name
    """GitHub token, classic or fine-grained."""
    SLACK_TOKEN = "slack_token"  # noqa: S105 - a kind's name
    """Slack token."""
    PRIVATE_KEY = "private_key"
    """Private key in PEM form."""
    JWT = "jwt"
    """JSON web token."""
    GENERIC = "generic"
    """Something random assigned to a name like password or token."""


_BEFORE = r"(?<![0-9A-Za-z_\-])"
_MARKS = ("AKIA", "ASIA", "sk-", "ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "xox", "-----BEGIN", "eyJ")
_NAMES = ("key", "secret", "token", "passw", "pwd", "密钥", "密码", "令牌", "口令")

_PATTERNS: tuple[tuple[SecretKind, re.Pattern[str]], ...] = (
    (
        SecretKind.PRIVATE_KEY,
        re.compile(
            r"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----"
            r"(?:[\s\S]{0,20000}?-----END (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----|[0-9A-Za-z+/=\s\\]{0,20000})"
        ),
    ),
    (SecretKind.JWT, re.compile(rf"{_BEFORE}eyJ[0-9A-Za-z_\-]{{8,}}\.eyJ[0-9A-Za-z_\-]{{8,}}\.[0-9A-Za-z_\-]{{8,}}")),
    (SecretKind.AWS_KEY, re.compile(r"(?<![0-9A-Za-z])(?:AKIA|ASIA)[0-9A-Z]{16}(?![0-9A-Za-z])")),
    (
        SecretKind.GITHUB_TOKEN,
        re.compile(rf"{_BEFORE}(?:gh[pousr]_[0-9A-Za-z]{{36,}}|github_pat_[0-9A-Za-z_]{{60,}})"),
    ),
    (SecretKind.SLACK_TOKEN, re.compile(rf"{_BEFORE}xox[abeoprs]-[0-9A-Za-z\-]{{10,}}")),
    (SecretKind.OPENAI_KEY, re.compile(rf"{_BEFORE}sk-(?:[a-z]+-)?[0-9A-Za-z_\-]{{20,}}")),
)
_ASSIGNMENT = re.compile(
    r"(?:api[_\- ]?key|access[_\- ]?key|secret(?:[_\- ]?key)?|token|passw(?:or)?d|pwd|密钥|密码|令牌|口令)"
    r"[\"']?\s{0,4}(?::=|=>|=|:|是|为|is)\s{0,4}[\"']?(?P<value>[0-9A-Za-z+/=_\-.!@#$%^&*]{12,})",
    re.IGNORECASE,
)
_MIN_ENTROPY_BITS = 3.2
"""Per character; English words lie near 2.8 at this length, random letters and digits above 3.5."""


def find_secrets(text: str, lowered: str | None = None) -> list[Match]:
    """Return credentials in ``text``, in order, without overlaps; positions are in the NFKC form of the text.

    Args:
        text: Any text.
        lowered: The text in lower case or case folded, where a caller has it.

    >>> [match.kind for match in find_secrets("密钥AKIAIOSFODNN7EXAMPLE请保存")]
    ['aws_key']
    """
    lowered = text.lower() if lowered is None else lowered
    has_mark = any(mark in text for mark in _MARKS)
    has_name = any(name in lowered for name in _NAMES)
    if not (has_mark or has_name):
        return []
    normal = normalise_for_search(text)
    found: list[Match] = []
    if has_mark:
        for kind, pattern in _PATTERNS:
            _add(found, kind, [match.span() for match in pattern.finditer(normal)])
    if has_name:
        spans = [match.span("value") for match in _ASSIGNMENT.finditer(normal) if _is_random(match["value"])]
        _add(found, SecretKind.GENERIC, spans)
    return sorted(found, key=lambda match: match.start)


def compute_entropy_bits(text: str) -> float:
    """Return the Shannon entropy per character.

    >>> compute_entropy_bits("aabb")
    1.0
    """
    counts = Counter(text)
    return -sum(count / len(text) * math.log2(count / len(text)) for count in counts.values())


def _is_random(value: str) -> bool:
    has_both = any(mark.isdigit() for mark in value) and any(mark.isalpha() for mark in value)
    return has_both and compute_entropy_bits(value) >= _MIN_ENTROPY_BITS


def _add(found: list[Match], kind: SecretKind, spans: list[tuple[int, int]]) -> None:
    for start, end in spans:
        if not any(start < match.end and match.start < end for match in found):
            found.append(Match(kind.value, start, end))
