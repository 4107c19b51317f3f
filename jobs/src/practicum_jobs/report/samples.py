"""The section "Samples": recorded samples in the groups that their stage defines."""

from __future__ import annotations

import json

from practicum_core.stages import STAGES
from practicum_core.stages.samples import Sample, SampleText, Tone
from practicum_core.texts import Text
from practicum_jobs.render.blocks import Block, Disclosure, Example, Excerpt, Heading, Notice, Section
from practicum_jobs.render.figures import name_failure
from practicum_jobs.render.foreign_text import shorten
from practicum_jobs.report.messages import READING, SAMPLES, SECTIONS
from practicum_jobs.report.reading import StepFiles
from practicum_jobs.report.verdict import Pack

MAX_TEXT = 1200
"""Maximum number of characters of one text on a page."""


def build_samples_section(pack: Pack) -> Section | None:
    """Build the section with recorded samples; ``None`` if no stage of the unit records samples."""
    specs = [spec for step in pack.files.steps if step.stage in STAGES and (spec := STAGES[step.stage].samples)]
    if not specs:
        return None
    blocks: list[Block] = []
    for step in reversed(pack.files.steps):
        if step.samples:
            blocks.append(Heading(SAMPLES["of_step"].format(step=step.name)))
            blocks += _build_step(step, pack.max_samples)
    if not blocks:
        blocks.append(Notice(SAMPLES["none"]))
    readings = list(dict.fromkeys(spec.how_to_read or READING["samples"] for spec in specs))
    return Section("samples", SECTIONS["samples"], blocks, readings[0] if len(readings) == 1 else None)


def _build_step(step: StepFiles, limit: int) -> list[Block]:
    spec = STAGES[step.stage].samples
    if spec is None:
        return []
    groups = spec.group(step.samples)
    share = max(limit // max(len(groups), 1), 1) if limit else 0
    blocks: list[Block] = []
    for index, group in enumerate(groups):
        shown = [_build_example(sample, group.tone) for sample in group.samples[:share]]
        title = SAMPLES["group"].format(title=group.title, shown=len(shown), total=len(group.samples))
        is_open = index == 0 and (group.tone != "plain" or group.is_open)
        blocks.append(Disclosure(title, shown, is_open=is_open))
    said = spec.explain_none_bad(step.samples)
    if said is not None and not any(group.tone == "bad" for group in groups):
        blocks.append(Notice(said, "good"))
    return blocks


def _build_example(sample: Sample, tone: Tone) -> Example:
    excerpts = [_build_excerpt(text) for text in sample.list_texts() if text.text not in (None, "")]
    return Example(shorten(sample.id, 80) or "–", excerpts, tone)


def _build_excerpt(text: SampleText) -> Excerpt:
    written = shorten(_write(text.text), MAX_TEXT)
    shown: Text = name_failure(written) if text.is_failure_kind else written
    return Excerpt(text.label, shown, text.tone)


def _write(value: object) -> str:
    """Return a text unchanged, a list of messages as a dialogue, and any other value as JSON."""
    if isinstance(value, str):
        return value
    if isinstance(value, list) and all(isinstance(turn, dict) and "content" in turn for turn in value):
        return "\n".join(f"[{turn.get('role', '')}] {turn['content']}" for turn in value)
    return json.dumps(value, ensure_ascii=False, sort_keys=True)
