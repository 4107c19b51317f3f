"""Answers of models, kept so that a model is not asked the same twice.

Answers of one model by one engine with one sampling lie in one file of JSON lines. A line carries its own checksum, so
that a line that was cut off or changed is ignored, and its answer is generated again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from practicum_core.atomic import append_json_line, explain_os_errors

FORMAT = 2


@dataclass(frozen=True)
class Answer:
    """An answer of a model.

    Attributes:
        text: Without special tokens.
        num_tokens: Generated, the stop token included.
        is_stopped: Whether the model ended the answer itself; false where it ran into the limit of new tokens.
        is_prompt_shown: Whether the engine showed that it processed the very token ids of the prompt.
    """

    text: str
    num_tokens: int
    is_stopped: bool
    is_prompt_shown: bool = False


class AnswerStore:
    """The kept answers of one model, engine and sampling.

    Args:
        path: The file; need not exist.
        settings: What the answers depend on beside the prompt. It is written to the head of the file for people.
    """

    def __init__(self, path: Path, settings: Mapping[str, Any]) -> None:
        self._path = path
        self._settings = settings
        self._answers = dict(_read_answers(path))

    def find(self, prompt: Sequence[int]) -> Answer | None:
        """Return the kept answer to a prompt of token ids; ``None`` where there is none."""
        return self._answers.get(hash_tokens(prompt))

    def keep(self, prompt: Sequence[int], answer: Answer) -> None:
        """Append an answer. Another process may append to the same file at the same time.

        Raises:
            PlatformError: The disk refuses.
        """
        if not self._path.exists():
            append_json_line(self._path, {"format": FORMAT, "settings": self._settings})
        key = hash_tokens(prompt)
        line = {"prompt_sha256": key, **asdict(answer)}
        append_json_line(self._path, {**line, "sha256": _hash_document(line)})
        self._answers[key] = answer


def open_shared_store(cache_dir: Path, settings: Mapping[str, Any]) -> AnswerStore:
    """Open the store that all runs with this cache share: its name is the hash of the settings."""
    name = _hash_document({"format": FORMAT, "settings": settings})
    return AnswerStore(cache_dir / "answers" / name[:2] / f"{name}.jsonl", settings)


def hash_tokens(ids: Sequence[int]) -> str:
    """Return the SHA-256 of token ids, written in decimal with commas.

    >>> hash_tokens([1, 23]) == hash_tokens((1, 23)), hash_tokens([1, 23]) == hash_tokens([12, 3])
    (True, False)
    """
    return hashlib.sha256(",".join(map(str, ids)).encode()).hexdigest()


def _read_answers(path: Path) -> Iterator[tuple[str, Answer]]:
    with explain_os_errors(path, "PRACTICUM_CACHE"):
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            return
    for line in content.split(b"\n"):
        document = _parse(line)
        if document is None or document.pop("sha256", None) != _hash_document(document):
            continue
        try:
            yield str(document.pop("prompt_sha256")), Answer(**document)
        except (KeyError, TypeError):  # the head of the file, or a line of a later version
            continue


def _parse(line: bytes) -> dict[str, Any] | None:
    try:
        document = json.loads(line)
    except ValueError:
        return None
    return document if isinstance(document, dict) else None


def _hash_document(document: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()
