"""Decides which recorded samples are shown, in which groups, and how long a text may be.

A line of ``samples.jsonl`` carries ``prompt`` and ``expected`` with either ``output`` (one model; with ``step``, during
training), ``base`` and ``candidate`` (an evaluation), or ``adapter`` and ``merged`` (an inference check).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from practicum_core.texts import Bilingual, Text
from practicum_jobs.render.blocks import Block, Disclosure, Example, Excerpt, Heading, Notice, Section
from practicum_jobs.render.charts import Tone
from practicum_jobs.render.foreign_text import shorten
from practicum_jobs.report.figures import name_failure
from practicum_jobs.report.messages import READING, SAMPLES, SECTIONS
from practicum_jobs.report.reading import StepFiles
from practicum_jobs.report.verdict import Pack

MAX_TEXT = 1200
"""Characters of one text that a page shows."""

_Line = Mapping[str, Any]
_ANSWERING = frozenset({"evaluate", "inference", "sft"})


@dataclass(frozen=True)
class _Group:
    title: Bilingual
    tone: Tone
    lines: Sequence[_Line]


def build_samples_section(pack: Pack) -> Section | None:
    """Build the section with answers, worse ones as well as better ones; ``None`` for a unit that asks no model."""
    if not any(step.stage in _ANSWERING or step.samples for step in pack.files.steps):
        return None
    blocks: list[Block] = []
    for step in reversed(pack.files.steps):
        if step.samples:
            blocks.append(Heading(SAMPLES["of_step"].format(step=step.name)))
            blocks += _build_step(step, pack.max_samples)
    if not blocks:
        blocks.append(Notice(SAMPLES["none"]))
    return Section("samples", SECTIONS["samples"], blocks, READING["samples"])


def _build_step(step: StepFiles, limit: int) -> list[Block]:
    groups = _group(step.samples)
    share = max(limit // max(len(groups), 1), 1) if limit else 0
    blocks: list[Block] = []
    for index, group in enumerate(groups):
        shown = [_build_example(line, group.tone) for line in group.lines[:share]]
        title = SAMPLES["group"].format(title=group.title, shown=len(shown), total=len(group.lines))
        is_open = index == 0 and (group.tone != "plain" or "answers" in group.lines[0])
        blocks.append(Disclosure(title, shown, is_open=is_open))
    if any("candidate" in line for line in step.samples) and not any(group.tone == "bad" for group in groups):
        blocks.append(Notice(SAMPLES["no_losses"], "good"))
    return blocks


def _group(lines: Sequence[_Line]) -> list[_Group]:
    scored = [line for line in lines if line.get("split") == lines[0].get("split")]
    control = [line for line in lines if line.get("split") != lines[0].get("split")]
    worse = [line for line in control if line.get("base_mentioned") and not line.get("candidate_mentioned")]
    return _group_scored(scored) + _list_nonempty(
        _Group(SAMPLES["control_losses"], "bad", worse),
        _Group(SAMPLES["control_rest"], "plain", [line for line in control if line not in worse]),
    )


def _group_scored(lines: Sequence[_Line]) -> list[_Group]:
    if any("candidate" in line for line in lines):
        return _list_nonempty(
            _Group(SAMPLES["losses"], "bad", [line for line in lines if _is_loss(line)]),
            _Group(SAMPLES["wins"], "good", [line for line in lines if _get_outcome(line) == (False, True)]),
            _Group(SAMPLES["both_wrong"], "plain", [line for line in lines if _get_outcome(line) == (False, False)]),
            _Group(SAMPLES["both_right"], "plain", [line for line in lines if _get_outcome(line) == (True, True)]),
        )
    if any("merged" in line for line in lines):
        return _list_nonempty(
            _Group(SAMPLES["disagree"], "bad", [line for line in lines if line.get("adapter") != line.get("merged")]),
            _Group(SAMPLES["agree"], "plain", [line for line in lines if line.get("adapter") == line.get("merged")]),
        )
    if any("step" in line for line in lines):
        return [_Group(SAMPLES["checkpoints"], "plain", _join_checkpoints(lines))]
    return _list_nonempty(
        _Group(SAMPLES["wrong"], "bad", [line for line in lines if not _get_outcome(line)[0]]),
        _Group(SAMPLES["right"], "good", [line for line in lines if _get_outcome(line)[0]]),
    )


def _list_nonempty(*groups: _Group) -> list[_Group]:
    return [group for group in groups if group.lines]


def _join_checkpoints(lines: Sequence[_Line]) -> list[_Line]:
    """Bring the answers to one prompt together, in order of steps; the last answer of a step wins."""
    joined: dict[str, dict[str, Any]] = {}
    for line in lines:
        step = line.get("step")
        entry = joined.setdefault(str(line.get("id", "")), {**line, "answers": {}})
        entry["answers"][step if isinstance(step, int) else 0] = line.get("output", "")
    return [{key: value for key, value in entry.items() if key != "output"} for entry in joined.values()]


def _get_outcome(line: _Line) -> tuple[bool, bool]:
    return bool(line.get("base_correct", line.get("correct"))), bool(line.get("candidate_correct"))


def _is_loss(line: _Line) -> bool:
    return "candidate" in line and _get_outcome(line) == (True, False)


def _build_example(line: _Line, tone: Tone) -> Example:
    excerpts = [Excerpt(label, shown, part) for label, shown, part in _list_texts(line)]
    for step, answer in sorted(line.get("answers", {}).items()):
        excerpts.append(Excerpt(SAMPLES["at_step"].format(step=step), shorten(_write(answer), MAX_TEXT)))
    return Example(shorten(str(line.get("id", "")), 80) or "–", excerpts, tone)


def _list_texts(line: _Line) -> Iterable[tuple[Bilingual, Text, Tone]]:
    parts: tuple[tuple[str, str, str | None], ...] = (
        ("prompt", "prompt", None),
        ("expected", "expected", None),
        ("output", "answer", "correct"),
        ("base", "base", "base_correct"),
        ("candidate", "tuned", "candidate_correct"),
        ("adapter", "adapter", None),
        ("merged", "merged", None),
    )
    for key, label, judged in parts:
        if line.get(key) not in (None, ""):
            yield SAMPLES[label], shorten(_write(line[key]), MAX_TEXT), _get_tone(line.get(judged or ""))
    failure = line.get("candidate_failure", line.get("failure"))
    if isinstance(failure, str) and failure:
        yield SAMPLES["failure"], name_failure(shorten(failure, MAX_TEXT)), "plain"


def _get_tone(is_right: object) -> Tone:
    if isinstance(is_right, bool):
        return "good" if is_right else "bad"
    return "plain"


def _write(value: object) -> str:
    """Write a text as it is, and a list of messages as a dialogue."""
    if isinstance(value, str):
        return value
    if isinstance(value, list) and all(isinstance(turn, dict) and "content" in turn for turn in value):
        return "\n".join(f"[{turn.get('role', '')}] {turn['content']}" for turn in value)
    return json.dumps(value, ensure_ascii=False, sort_keys=True)
