"""The section "Failures and notes": errors, missing files, warnings, failure points and notes of a run."""

from __future__ import annotations

from practicum_core.stages.leaks import LeaksRecord
from practicum_core.texts import Bilingual, Text
from practicum_jobs.render.blocks import Block, Cell, Column, Heading, Notice, Section, Table
from practicum_jobs.render.figures import name_failure
from practicum_jobs.render.foreign_text import shorten
from practicum_jobs.report.messages import PROBLEMS, READING, SECTIONS
from practicum_jobs.report.process import count_starts
from practicum_jobs.report.verdict import Pack, is_finite

_MAX_TEXT = 600


def build_problems_section(pack: Pack) -> Section:
    """Build the section that lists what went wrong and what is missing."""
    blocks = [*_build_errors(pack), *_build_gaps(pack), *_build_warnings(pack), *_build_failures(pack)]
    blocks += _build_notes(pack)
    return Section("problems", SECTIONS["problems"], blocks or [Notice(PROBLEMS["none"], "good")], READING["problems"])


def _build_errors(pack: Pack) -> list[Block]:
    blocks: list[Block] = []
    for step in pack.files.steps:
        if step.record is None and step.error:
            text = f"{step.name}: {step.error.get('reason', '')}: {step.error.get('detail', '')}"
            fix = str(step.error.get("fix") or "")
            detail: Text = PROBLEMS["fix"].format(fix=shorten(fix, _MAX_TEXT)) if fix else ""
            blocks.append(Notice(shorten(text, _MAX_TEXT), "bad", detail))
    return [Heading(PROBLEMS["errors"]), *blocks] if blocks else []


def _build_gaps(pack: Pack) -> list[Block]:
    columns = [Column(PROBLEMS["file"], "code"), Column(PROBLEMS["why"])]
    rows: list[list[Text]] = [[gap.path, _join(gap.why, gap.detail)] for gap in pack.files.gaps]
    return [Table(PROBLEMS["gaps"], columns, rows)] if rows else []


def _join(why: Bilingual, detail: str) -> Bilingual:
    return Bilingual(f"{why.en}: {detail}", f"{why.zh}：{detail}") if detail else why


def _build_warnings(pack: Pack) -> list[Block]:
    blocks: list[Block] = []
    waived = [
        leak.name
        for record in pack.files.list_records(LeaksRecord)
        for leak in record.leaks
        if leak.waived and leak.num_rows
    ]
    if waived:
        blocks.append(Notice(PROBLEMS["waived"].format(names=", ".join(waived)), "warn"))
    for name, count in sorted(count_starts(pack.files).items()):
        if count > 1:
            blocks.append(Notice(PROBLEMS["retried"].format(step=name, count=count), "warn"))
    for step in pack.files.steps:
        lost = [metric.name for metric in (step.record.metrics if step.record else []) if not is_finite(metric)]
        if lost:
            blocks.append(Notice(PROBLEMS["not_finite"].format(step=step.name, names=", ".join(lost)), "bad"))
    environment = pack.files.environment
    if environment and environment.code.repository and environment.code.repository.is_dirty:
        blocks.append(Notice(PROBLEMS["dirty"], "warn"))
    return blocks


def _build_failures(pack: Pack) -> list[Block]:
    columns = [
        Column(PROBLEMS["kind"]),
        Column(PROBLEMS["step"], "name"),
        Column(PROBLEMS["where"]),
        Column(PROBLEMS["what"]),
    ]
    rows: list[list[Cell | Text]] = [
        [name_failure(failure.kind), step.name, failure.where, shorten(failure.text, _MAX_TEXT)]
        for step in pack.files.steps
        if step.record is not None
        for failure in step.record.failures
    ]
    return [Table(PROBLEMS["failures"], columns, rows)] if rows else []


def _build_notes(pack: Pack) -> list[Block]:
    rows: list[list[Text]] = [
        [step.name, shorten(note, _MAX_TEXT)]
        for step in pack.files.steps
        if step.record is not None
        for note in step.record.notes
    ]
    columns = [Column(PROBLEMS["step"], "name"), Column(PROBLEMS["note"])]
    return [Table(PROBLEMS["notes"], columns, rows)] if rows else []
