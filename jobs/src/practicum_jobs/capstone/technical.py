"""The technical document: the chain, the evidence of effect and performance, the risks, and what was executed again."""

from __future__ import annotations

from collections.abc import Sequence

from practicum_core.metrics import StageMetric
from practicum_core.stages.capstone import CapstoneRecord
from practicum_core.texts import Bilingual, Text
from practicum_core.units.unit import Proof
from practicum_jobs.capstone.facts import WeekFacts, choose_weeks
from practicum_jobs.capstone.messages import COLUMNS, DOCUMENT, EYEBROW, FOOTER
from practicum_jobs.render.blocks import Block, Cell, Column, Command, Heading, Notice, Section, Table
from practicum_jobs.render.chain import BROKEN, STATES, build_chain_section, build_reruns_section
from practicum_jobs.render.figures import format_interval, format_metric, get_metric_title
from practicum_jobs.render.page import Stamp, render_page


def build_technical_document(facts: Sequence[WeekFacts], record: CapstoneRecord) -> str:
    """Build the page from what the weeks measured and from the check of their chain."""
    holds = not any(week.num_broken for week in record.weeks)
    return render_page(
        DOCUMENT["title"],
        [
            build_chain_section(record),
            _build_evidence_section("effect", facts, DOCUMENT["effect_reading"]),
            _build_evidence_section("performance", facts, None),
            *([_build_shown_section(record.shown)] if record.shown else []),
            _build_risk_section(facts),
            build_reruns_section(record),
            _build_reproduce_section(facts),
        ],
        eyebrow=EYEBROW,
        lead=DOCUMENT["lead"],
        stamp=Stamp(DOCUMENT["all_hold"].format(count=sum(week.num_files for week in record.weeks)), "good")
        if holds
        else Stamp(BROKEN.format(count=sum(week.num_broken for week in record.weeks)), "bad"),
        footer=FOOTER.format(runs=", ".join(one.week.name for one in facts)),
    )


def _build_evidence_section(proof: Proof, facts: Sequence[WeekFacts], reading: Bilingual | None) -> Section:
    chosen = choose_weeks(facts, proof)
    blocks: list[Block] = []
    for one in chosen:
        blocks += [Heading(one.title), _build_figures(one.title, one.figures)] if one.figures else []
    return Section(proof, DOCUMENT[proof], blocks or [Notice(DOCUMENT["none"], "warn")], reading)


def _build_shown_section(figures: Sequence[StageMetric]) -> Section:
    return Section("shown", DOCUMENT["shown"], [_build_figures(DOCUMENT["shown"], figures)], DOCUMENT["shown_reading"])


def _build_figures(title: Bilingual, figures: Sequence[StageMetric]) -> Table:
    columns = [
        Column(COLUMNS["figure"]),
        Column(COLUMNS["step"], "name"),
        Column(COLUMNS["value"], "number"),
        Column(COLUMNS["interval"], "number"),
    ]
    rows: list[list[Cell | Text]] = [
        [
            get_metric_title(one).title,
            one.stage,
            format_metric(one),
            format_interval(one) or "–",
        ]
        for one in figures
    ]
    return Table(title, columns, rows)


def _build_risk_section(facts: Sequence[WeekFacts]) -> Section:
    columns = [
        Column(COLUMNS["week"]),
        Column(COLUMNS["risk"]),
        Column(COLUMNS["number"], "number"),
        Column(COLUMNS["example"]),
    ]
    rows: list[list[Cell | Text]] = []
    for one in facts:
        rows += [[one.title, Cell(gate, tone="bad"), "–", STATES["failed"]] for gate in one.failed_gates]
        rows += [[one.title, found.title, f"{found.number:,}", found.example] for found in one.failures]
    blocks: list[Block] = [Table(DOCUMENT["risk"], columns, rows)] if rows else [Notice(DOCUMENT["all_pass"], "good")]
    return Section("risk", DOCUMENT["risk"], blocks, DOCUMENT["risk_reading"])


def _build_reproduce_section(facts: Sequence[WeekFacts]) -> Section:
    commands = [Command(one.week.evidence.reproduce, one.title) for one in facts if one.week.evidence.reproduce]
    return Section("reproduce", DOCUMENT["reproduce"], commands or [Notice(DOCUMENT["none"], "warn")])
