"""The section "The deployment": what ran, its limits, what was measured, what is known to be weak."""

from __future__ import annotations

from collections.abc import Sequence

from practicum_core.deployment import TEXTS, Component, Deployment, Words, describe_capacity
from practicum_core.rungs import RUNG_TITLES
from practicum_core.stages.describe import DescribeRecord
from practicum_core.texts import Bilingual, Text
from practicum_jobs.render.blocks import Block, Cell, Column, Disclosure, Heading, Notice, Paragraph, Section, Table
from practicum_jobs.report.messages import READING, SECTIONS
from practicum_jobs.report.verdict import Pack


def build_deployment_section(pack: Pack) -> Section | None:
    """Build the section of the described deployment; ``None`` where none was described."""
    records = pack.files.list_records(DescribeRecord)
    blocks = [block for record in records for block in _build_blocks(record.deployment)]
    return Section("deployment", SECTIONS["deployment"], blocks, READING["deployment"]) if blocks else None


def _build_blocks(found: Deployment) -> list[Block]:
    columns = [Column(TEXTS[name]) for name in ("component", "does", "state", "versions", "probes")]
    blocks: list[Block] = [Table(TEXTS["components"], columns, [_build_row(one) for one in found.components])]
    if found.rungs:
        rungs: list[list[Cell | Text]] = [
            [RUNG_TITLES[one.rung], f"{one.num_requests:,}" if one.num_requests else "–"] for one in found.rungs
        ]
        blocks.append(Table(TEXTS["ladder"], [Column(TEXTS["rung"]), Column(TEXTS["requests"], "number")], rungs))
    blocks += [Heading(TEXTS["capacity"]), Paragraph(describe_capacity(found.capacity))]
    blocks.append(Heading(TEXTS["weaknesses"]))
    blocks += [Notice(_pair(one), "warn") for one in found.weaknesses] or [Notice(TEXTS["none_known"])]
    alerts: list[list[Cell | Text]] = [
        [one.name, Cell(one.rule, "code"), _pair(one.summary)] for one in found.alerts or ()
    ]
    if alerts:
        columns = [Column(TEXTS[name]) for name in ("alert", "rule", "means")]
        blocks.append(Table(TEXTS["alerts"], columns, alerts))
    limits = [_build_limits(one) for one in found.components if one.limits]
    return [*blocks, Disclosure(TEXTS["all_limits"], limits)] if limits else blocks


def _build_row(one: Component) -> Sequence[Cell | Text]:
    versions = ", ".join(f"{name} {version}" for name, version in one.versions.items()) or "–"
    probes: Text = "–"
    if one.ready_path:
        probes = TEXTS["probe"].format(ready=one.ready_path, live=one.live_path, startup=f"{one.startup_s:g}")
    return [
        one.name,
        _pair(one.title),
        Cell(_pair(one.state), tone="good" if one.is_ready else "bad"),
        versions,
        probes,
    ]


def _build_limits(one: Component) -> Table:
    rows: list[list[Cell | Text]] = [[_pair(each.title), each.value] for each in one.limits]
    return Table(TEXTS["limits"].format(name=one.name), [Column(TEXTS["limit"]), Column(TEXTS["value"])], rows)


def _pair(words: Words) -> Bilingual:
    return Bilingual(words.en, words.zh)
