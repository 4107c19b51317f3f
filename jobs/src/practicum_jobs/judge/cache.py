"""The judgements that a step has finished, in a file: a resumed step does not ask for them again.

The file belongs to one run. A judge is never read from another run's file, because it may have changed since.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from practicum_core.atomic import append_json_line
from practicum_core.stages.judge import Unusable
from practicum_jobs.judge.pairs import Judgement, Question, Verdict
from practicum_jobs.judge.prompts import hash_text

CACHE_NAME = "judgements.jsonl"


class _Line(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)

    key: str
    question: str
    verdict: Verdict | None = None
    unusable: Unusable | None = None
    text: str = ""
    model: str = ""


class JudgementCache:
    """Judgements by question. A line that was cut off by a kill counts as not there.

    Args:
        path: The file; it need not exist.
        asked: What the judge is and what it is told: a judgement of another judge is not found.
    """

    def __init__(self, path: Path, asked: str) -> None:
        self._path = path
        self._asked = asked
        self._lines = {line.key: line for line in _read_lines(path)}
        self.round_names = {line.question.split("/")[1] for line in self._lines.values() if _is_canary(line.question)}

    def find(self, question: Question) -> Judgement | None:
        """Return a finished judgement; ``None`` where there is none."""
        line = self._lines.get(self._build_key(question))
        return None if line is None else Judgement(line.verdict, line.unusable, line.text, line.model)

    def add(self, question: Question, judgement: Judgement) -> None:
        """Keep a judgement. One that is missing because nobody answered is not finished, and asked again later."""
        if judgement.unusable is Unusable.NO_ANSWER:
            return
        line = _Line(
            key=self._build_key(question),
            question=question.id,
            verdict=judgement.verdict,
            unusable=judgement.unusable,
            text=judgement.text,
            model=judgement.model,
        )
        append_json_line(self._path, line.model_dump(mode="json"))
        self._lines[line.key] = line

    def _build_key(self, question: Question) -> str:
        pair = question.pair
        content = [self._asked, question.id, pair.prompt, pair.expected, *question.answers]
        return hash_text(json.dumps(content, ensure_ascii=False))


def _is_canary(question: str) -> bool:
    return question.startswith("canary/")


def _read_lines(path: Path) -> Iterator[_Line]:
    if not path.exists():
        return
    for line in path.read_bytes().split(b"\n"):
        with contextlib.suppress(ValidationError):
            yield _Line.model_validate_json(line)
