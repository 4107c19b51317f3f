"""Recorded samples: the typed lines of ``samples.jsonl`` and how a page groups them. Each stage names its model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from practicum_core.texts import Bilingual

Tone = Literal["plain", "good", "bad"]
"""How a sample or a text of it is judged."""

PROMPT = Bilingual("Prompt", "提示词")
EXPECTED = Bilingual("Expected", "期望回答")
ANSWER = Bilingual("Answer", "回答")
_FAILURE = Bilingual("What is wrong", "错在何处")


@dataclass(frozen=True)
class SampleText:
    """One labelled text of a sample: a string, or messages as they were recorded.

    ``is_failure_kind`` marks a kind of failure, which the page shows by its title.
    """

    label: Bilingual
    text: object
    tone: Tone = "plain"
    is_failure_kind: bool = False


class Sample(BaseModel):
    """Base of samples: an input and what was expected. Fields of other versions are passed over."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    id: str = ""
    prompt: Any = ""
    expected: Any = ""

    def list_texts(self) -> list[SampleText]:
        """List what a page shows of it, in order."""
        return [SampleText(PROMPT, self.prompt), SampleText(EXPECTED, self.expected)]


@dataclass(frozen=True)
class SampleGroup:
    """Samples that a page shows under one heading."""

    title: Bilingual
    tone: Tone
    samples: Sequence[Sample]
    is_open: bool = False


def judge(is_right: bool | None) -> Tone:  # noqa: FBT001 - what it judges is its one argument
    """Return the tone of an answer; one that nobody judged is plain.

    >>> judge(True), judge(False), judge(None)
    ('good', 'bad', 'plain')
    """
    if is_right is None:
        return "plain"
    return "good" if is_right else "bad"


def describe_failure(kind: str) -> list[SampleText]:
    """Return the text that names a kind of failure; none where nothing failed."""
    return [SampleText(_FAILURE, kind, is_failure_kind=True)] if kind else []


def list_nonempty(*groups: SampleGroup) -> list[SampleGroup]:
    """Leave out the groups without a sample."""
    return [group for group in groups if group.samples]
