"""JSON decoded strictly: a key that stands twice, or half of a surrogate pair, is a fault and not a silent choice."""

from __future__ import annotations

import json
from typing import Any

from practicum_jobs.datasets.columns import RowFault

GBK_HINT = "; it reads as GBK: give --encoding gbk"


def parse_json(text: str) -> Any:  # noqa: ANN401 - any JSON value
    """Decode a text.

    Raises:
        RowFault: A key stands twice with different values, a text holds half of a surrogate pair, or the nesting is
            too deep.
        ValueError: Not JSON.
    """
    try:
        value = json.loads(text)
        num_marks = text.count('":') - text.count('\\":')
        has_gap = '" :' in text or '"\t:' in text or '"\n:' in text or '"\r:' in text
        if has_gap or num_marks != _count_keys(value):
            value = _DECODER.decode(text)
        if "\\ud" in text or "\\uD" in text:
            json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise RowFault("invalid_utf8", "half of a surrogate pair: an escape that is no character") from error
    except RecursionError as error:
        raise RowFault("broken_json", "nested too deeply") from error
    return value


def decode_record(raw: bytes) -> dict[str, Any]:
    """Decode one record.

    Raises:
        RowFault: Not UTF-8, not JSON, not an object, or ambiguous.
    """
    try:
        # Decoded here because json would guess other encodings.
        record = parse_json(raw.decode())
    except UnicodeDecodeError as error:
        detail = f"byte {error.start + 1} of the row is not UTF-8 ({error.reason})"
        hint = GBK_HINT if is_gbk(raw) else ""
        raise RowFault("invalid_utf8", detail + hint) from error
    except json.JSONDecodeError as error:
        what = error.msg.removesuffix(" at")
        raise RowFault("broken_json", f"{what} at character {error.pos + 1} of the row") from error
    except ValueError as error:
        raise RowFault("broken_json", str(error)) from error
    if not isinstance(record, dict):
        raise RowFault("wrong_type", f"a row must be an object, got {type(record).__name__}")
    return record


def is_gbk(raw: bytes) -> bool:
    r"""Whether bytes that are not UTF-8 are Chinese in GBK.

    >>> is_gbk("客户投诉".encode("gbk")), is_gbk(b"caf\xe9")
    (True, False)
    """
    try:
        text = raw.decode("gbk")
    except UnicodeDecodeError:
        return False
    return any("\u4e00" <= mark <= "\u9fff" for mark in text)


def _count_keys(value: object) -> int:
    """Count the keys of all objects in a value."""
    if isinstance(value, dict):
        number = len(value)
        for part in value.values():
            if part.__class__ is dict or part.__class__ is list:
                number += _count_keys(part)
        return number
    number = 0
    if isinstance(value, list):
        for part in value:
            number += _count_keys(part)
    return number


def _build_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    built = dict(pairs)
    if len(built) != len(pairs):
        for key, value in pairs:
            if built[key] != value:
                raise RowFault("duplicate_key", f"key {key[:40]!r} stands twice with different values")
    return built


_DECODER = json.JSONDecoder(object_pairs_hook=_build_object)
"""Looks at every key, at twice the time. Used where the text has more or fewer marks of a key than keys were read, or
blanks behind a key, which counting marks would miss."""
