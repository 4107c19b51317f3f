"""The section "Recorded and replayed": the ladder of each replay on one axis, and what was the same."""

from __future__ import annotations

import re
from collections.abc import Sequence

from practicum_core.rungs import RUNG_TITLES, Rung, RungChange
from practicum_core.stages.experiments import Finding
from practicum_core.stages.replays import ReplayComparison, ReplaysRecord, ReplayVerdict
from practicum_core.texts import Bilingual, Text
from practicum_core.traffic import Recording
from practicum_jobs.render.blocks import Block, Cell, Charts, Column, Fact, Facts, Notice, Section, Table
from practicum_jobs.render.charts import Chart, Mark, Series, Tone, line_chart
from practicum_jobs.render.scale import Point
from practicum_jobs.report.messages import READING, SECTIONS
from practicum_jobs.report.replay_messages import COMPARED, REPLAYS, VERDICTS, WORDS_ZH
from practicum_jobs.report.verdict import Pack

_TONES: dict[ReplayVerdict, Tone] = {
    ReplayVerdict.SAME: "good",
    ReplayVerdict.DIFFERS: "bad",
    ReplayVerdict.NOT_COMPARABLE: "warn",
}
_BETWEEN = " > "
_WORDS = re.compile(rf"\b(?:{'|'.join(WORDS_ZH)})\b")


def build_replays_section(pack: Pack) -> Section | None:
    """Build the section of replays; ``None`` where the run replayed nothing."""
    records = [record for record in pack.files.list_records(ReplaysRecord) if record.recorded is not None]
    if not records:
        return None
    blocks = [block for record in records if record.recorded for block in _build_blocks(record, record.recorded)]
    return Section("replays", SECTIONS["replays"], blocks, READING["replays"])


def _build_blocks(record: ReplaysRecord, recorded: Recording) -> list[Block]:
    facts = [Fact(REPLAYS["what"], record.recording, is_code=True), Fact(REPLAYS["experiment"], _get_title(recorded))]
    if recorded.num_masked:
        facts.append(Fact(REPLAYS["masked"], f"{recorded.num_masked:,}"))
    if not record.replays:
        return [Facts(facts), Notice(REPLAYS["none"], "bad")]
    return [
        Facts(facts),
        Charts([(build_ladder_chart(f"replays-{record.step}", record, recorded), None)]),
        _build_table(record.replays),
    ]


def _get_title(recorded: Recording) -> Text:
    experiment = recorded.experiment
    title = str(experiment.get("title") or recorded.name)
    return Bilingual(title, str(experiment.get("configuration", {}).get("title_zh") or title))


def build_ladder_chart(name: str, record: ReplaysRecord, recorded: Recording) -> Chart:
    """Draw how far down the ladder was, recorded and in each replay, on one axis."""
    series = [Series(REPLAYS["recorded"], list_depths(recorded.changes, recorded.duration_s))]
    for number, result in enumerate(record.results, start=1):
        moved = [one.model_copy(update={"at_s": one.at_s - result.start_s}) for one in result.changes]
        points = list_depths(moved, result.end_s - result.start_s)
        series.append(Series(REPLAYS["replay"].format(number=number), points))
    marks = [
        Mark(recorded.fault_s, REPLAYS["begins"], "bad"),
        Mark(recorded.undone_s, REPLAYS["ends"], "good"),
    ]
    return line_chart(name, REPLAYS["chart"], series, x_label=REPLAYS["seconds"], marks=marks)


def list_depths(changes: Sequence[RungChange], end_s: float) -> list[Point]:
    """List the corners of the line of a ladder, from the start to the end.

    >>> list_depths([RungChange(at_s=2.0, before=Rung.FULL, after=Rung.SHORT, reason="")], 5.0)
    [(0.0, 0.0), (2.0, 0.0), (2.0, 1.0), (5.0, 1.0)]
    """
    points: list[Point] = [(0.0, float(changes[0].before.depth) if changes else 0.0)]
    for change in changes:
        points += [(change.at_s, float(change.before.depth)), (change.at_s, float(change.after.depth))]
    return [*points, (max(end_s, points[-1][0]), points[-1][1])]


def _build_table(replays: Sequence[ReplayComparison]) -> Table:
    columns = [Column(REPLAYS["compared"]), Column(REPLAYS["must"])]
    columns += [Column(REPLAYS["replay"].format(number=one.number)) for one in replays]
    verdicts = [Cell(VERDICTS[one.verdict], tone=_TONES[one.verdict]) for one in replays]
    rows: list[list[Cell | Text]] = [[REPLAYS["verdict"], "", *verdicts]]
    found = [{finding.name: finding for finding in one.findings} for one in replays]
    for name, title in COMPARED.items():
        seen = [findings.get(name) for findings in found]
        bounds = [one.bound for one in seen if one is not None]
        if bounds:
            rows.append([title, _name_rungs(bounds[0]), *map(_build_cell, seen)])
    return Table(REPLAYS["table"], columns, rows)


def _build_cell(finding: Finding | None) -> Cell:
    if finding is None:
        return Cell("–")
    return Cell(_name_rungs(finding.shown), tone="plain" if finding.is_met else "bad")


def _name_rungs(text: str) -> Text:
    """Name rungs in both languages; of any other text, the words that findings use."""
    words = text.split(_BETWEEN)
    if not set(words) <= set(Rung):
        return Bilingual(text, _WORDS.sub(lambda found: WORDS_ZH[found[0]], text))
    titles = [RUNG_TITLES[Rung(word)] for word in words]
    return Bilingual(" → ".join(one.en for one in titles), " → ".join(one.zh for one in titles))
