"""The section of a judge: its figures against the bar, its canaries, and its answers without a verdict."""

from __future__ import annotations

from practicum_core.stages.calibration import CalibrationCheck, CalibrationRecord, CanaryRound
from practicum_core.stages.titles import Style
from practicum_core.texts import Bilingual, Text
from practicum_jobs.render.blocks import Block, Cell, Column, Fact, Facts, Notice, Section, Table
from practicum_jobs.render.figures import format_figure, get_title, name_failure
from practicum_jobs.report.messages import CALIBRATION, COMPARISONS, READING, SECTIONS
from practicum_jobs.report.verdict import Pack

_RESUMED = "resumed-"


def build_calibration_section(pack: Pack) -> Section | None:
    """Build the section of the judges of a run; ``None`` where nothing was judged."""
    records = pack.files.list_records(CalibrationRecord)
    if not records:
        return None
    blocks = [block for record in records for block in _build_blocks(record)]
    return Section("calibration", SECTIONS["calibration"], blocks, READING["calibration"])


def _build_blocks(record: CalibrationRecord) -> list[Block]:
    blocks: list[Block] = [
        _build_notice(record),
        *([] if record.is_independent else [Notice(CALIBRATION["not_independent"], "warn")]),
        Facts([Fact(CALIBRATION["who"], record.judge), Fact(CALIBRATION["asked"], f"{record.num_asked:,}")]),
        Table(
            CALIBRATION["checks"],
            [
                Column(CALIBRATION["check"]),
                Column(CALIBRATION["result"]),
                Column(CALIBRATION["measured"], "number"),
                Column(CALIBRATION["bar"]),
            ],
            [_build_check(one) for one in record.checks],
        ),
    ]
    if record.canaries:
        columns = [
            Column(CALIBRATION["round"], "name"),
            Column(CALIBRATION["questions"], "number"),
            Column(CALIBRATION["right"], "number"),
            Column(CALIBRATION["changed"], "number"),
            Column(CALIBRATION["models"], "code"),
        ]
        blocks.append(Table(CALIBRATION["canaries"], columns, [_build_round(one) for one in record.canaries]))
    if record.unusable:
        rows = [[name_failure(f"judge_{kind}"), f"{count:,}"] for kind, count in record.unusable.items()]
        columns = [Column(CALIBRATION["kind"]), Column(CALIBRATION["count"], "number")]
        blocks.append(Table(CALIBRATION["unusable"], columns, rows))
    return blocks


def _build_notice(record: CalibrationRecord) -> Notice:
    if record.is_calibrated:
        return Notice(CALIBRATION["calibrated"], "good")
    missed = [get_title(one.name).title for one in record.checks if not one.is_passed]
    names = Bilingual("; ".join(_in(one, "en") for one in missed), "；".join(_in(one, "zh") for one in missed))
    return Notice(CALIBRATION["not_calibrated"].format(names=names), "warn")


def _build_check(check: CalibrationCheck) -> list[Cell | Text]:
    known = get_title(check.name)
    # A bar on a difference is on its distance from zero.
    style: Style = "width" if known.style == "points" else known.style
    words, bar = COMPARISONS[check.comparison], format_figure(check.bar, style)
    wanted = Bilingual(f"{words.en} {_in(bar, 'en')}", f"{words.zh} {_in(bar, 'zh')}")
    outcome = Cell(CALIBRATION["passed"], tone="good") if check.is_passed else Cell(CALIBRATION["missed"], tone="bad")
    if check.value is None or check.held is None:
        return [known.title, outcome, CALIBRATION["not_measured"], wanted]
    interval, held = "", Cell(wanted)
    if check.low is not None and check.high is not None:
        low, high = (_in(format_figure(end, known.style), "en") for end in (check.low, check.high))
        interval = f"{low} – {high}"
        held = Cell(wanted, note=CALIBRATION["held"].format(value=format_figure(check.held, style)))
    return [known.title, outcome, Cell(format_figure(check.value, known.style), "number", note=interval), held]


def _build_round(one: CanaryRound) -> list[Cell | Text]:
    name: Text = one.name
    if one.name in CALIBRATION:
        name = CALIBRATION[one.name]
    elif one.name.startswith(_RESUMED):
        name = CALIBRATION["resumed"].format(number=one.name.removeprefix(_RESUMED))
    changed = Cell(f"{one.num_changed:,}", "number", tone="bad" if one.num_changed else "plain")
    return [name, f"{one.num_asked:,}", f"{one.num_right:,}", changed, ", ".join(one.models) or "–"]


def _in(content: Text, language: str) -> str:
    return str(getattr(content, language)) if isinstance(content, Bilingual) else content
