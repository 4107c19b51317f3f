"""The retrospective: the measured facts of every week, next steps that follow from them, and questions to answer."""

from __future__ import annotations

from collections.abc import Sequence

from practicum_core.stages.capstone import HARMLESS_BREAKS, CapstoneRecord
from practicum_core.texts import Bilingual, Text
from practicum_jobs.capstone.facts import WeekFacts
from practicum_jobs.capstone.messages import COLUMNS, EYEBROW, FOOTER, RETROSPECTIVE
from practicum_jobs.render.blocks import Block, Cell, Column, Paragraph, Section, Table
from practicum_jobs.render.chain import STATES
from practicum_jobs.render.figures import format_duration, name_failure
from practicum_jobs.render.page import render_page

_FAILURES_A_WEEK = 3


def build_retrospective(facts: Sequence[WeekFacts], record: CapstoneRecord) -> str:
    """Build the page."""
    columns = [
        Column(COLUMNS["week"]),
        Column(COLUMNS["time"], "number"),
        Column(COLUMNS["verdict"]),
        Column(COLUMNS["risk"]),
    ]
    rows: list[list[Cell | Text]] = [
        [
            one.title,
            format_duration(one.duration_s),
            Cell(STATES["passed" if one.has_passed else "failed"], tone="good" if one.has_passed else "warn"),
            _join(one.failed_gates) or "–",
        ]
        for one in facts
    ]
    steps: list[Block] = [Paragraph(text) for text in list_next_steps(facts, record)]
    questions: list[Block] = [Paragraph(RETROSPECTIVE[name]) for name in ("q_surprise", "q_cost", "q_claim")]
    return render_page(
        RETROSPECTIVE["title"],
        [
            Section("facts", RETROSPECTIVE["facts"], [Table(RETROSPECTIVE["facts"], columns, rows)]),
            Section("next", RETROSPECTIVE["next"], steps, RETROSPECTIVE["next_reading"]),
            Section("questions", RETROSPECTIVE["questions"], questions),
        ],
        eyebrow=EYEBROW,
        lead=RETROSPECTIVE["lead"],
        footer=FOOTER.format(runs=", ".join(one.week.name for one in facts)),
    )


def list_next_steps(facts: Sequence[WeekFacts], record: CapstoneRecord) -> list[Bilingual]:
    """List what follows from the facts: broken links first, then gates that failed, then frequent failures."""
    steps = [
        RETROSPECTIVE["broken"].format(kind=name_failure(one.kind), where=one.where)
        for one in record.failures
        if one.kind not in HARMLESS_BREAKS
    ]
    for one in facts:
        steps += [RETROSPECTIVE["gate"].format(week=one.title, gate=gate) for gate in one.failed_gates]
    for one in facts:
        steps += [
            RETROSPECTIVE["failure"].format(week=one.title, title=found.title, count=found.number)
            for found in one.failures[:_FAILURES_A_WEEK]
        ]
    return steps or [RETROSPECTIVE["nothing"]]


def _join(texts: Sequence[Bilingual]) -> Bilingual | None:
    if not texts:
        return None
    return Bilingual("; ".join(text.en for text in texts), "；".join(text.zh for text in texts))
