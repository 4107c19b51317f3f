"""The section "How the data was repaired": which figures are clean, what changed in the data, and the decisions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from practicum_core.stages.evaluate import EvaluationSample
from practicum_core.stages.repair import Criterion, Decision, RepairRecord
from practicum_core.texts import Bilingual, Text
from practicum_jobs.render.blocks import Block, Cell, Column, Disclosure, Notice, Section, Table
from practicum_jobs.render.charts import Tone
from practicum_jobs.render.figures import format_figure, name_failure
from practicum_jobs.report.messages import COMPARISONS, READING, SECTIONS
from practicum_jobs.report.repair_messages import REPAIR
from practicum_jobs.report.verdict import Pack

_OUTCOMES: dict[bool | None, Cell | Text] = {
    True: Cell(REPAIR["right"], tone="good"),
    False: Cell(REPAIR["wrong"], tone="bad"),
    None: REPAIR["unasked"],
}
_LOOKED_AT = "test"
"""Split of the repaired data that holds the rows whose failures were read, whatever split they were scored in."""
_TONES: dict[str, Tone] = {"kept": "plain", "added": "good", "left_out": "warn"}


def build_repair_section(pack: Pack) -> Section | None:
    """Build the section; ``None`` if no step repaired data."""
    records = pack.files.list_records(RepairRecord)
    if not records:
        return None
    blocks = [block for record in records for block in _build_blocks(pack, record)]
    return Section("repair", SECTIONS["repair"], blocks, READING["repair"])


def _build_blocks(pack: Pack, record: RepairRecord) -> list[Block]:
    blocks: list[Block] = []
    if record.unrepaired_failures:
        blocks.append(Notice(REPAIR["unrepaired"].format(number=str(record.unrepaired_failures)), "warn"))
    elif not record.num_rows and not _has_added(record):
        blocks.append(Notice(REPAIR["nothing"], "good"))
    return [
        *blocks,
        _build_changes(record),
        _build_claims(pack, record),
        *(block for decision in record.decisions for block in build_decision(decision)),
        *_build_origins(pack, record),
    ]


def _has_added(record: RepairRecord) -> bool:
    return any(change.split == "train" and change.change == "added" for change in record.changes)


def _build_changes(record: RepairRecord) -> Table:
    columns = [
        Column(REPAIR["split"], "name"),
        Column(REPAIR["change"]),
        Column(REPAIR["num_rows"], "number"),
        Column(REPAIR["which"]),
    ]
    rows: list[list[Cell | Text]] = [
        [one.split, Cell(REPAIR[one.change], tone=_TONES[one.change]), f"{one.num_rows:,}", one.title]
        for one in record.changes
    ]
    return Table(REPAIR["changes"], columns, rows)


def _build_claims(pack: Pack, record: RepairRecord) -> Table:
    columns = [
        Column(REPAIR["split"], "name"),
        Column(REPAIR["scored_by"], "name"),
        Column(REPAIR["is_clean"]),
        Column(REPAIR["why"]),
    ]
    rows: list[list[Cell | Text]] = [
        [
            one.split,
            _name_steps(pack, one.split),
            Cell(REPAIR["clean"], tone="good") if one.is_clean else Cell(REPAIR["not_clean"], tone="bad"),
            one.title,
        ]
        for one in record.claims
    ]
    return Table(REPAIR["claims"], columns, rows)


def _build_origins(pack: Pack, record: RepairRecord) -> list[Block]:
    """Follow each failure to what was made of it and to the answer that the retrained model gives now."""
    if not record.origins:
        return []
    now = _read_outcomes(pack, record)
    columns = [
        Column(REPAIR["failure"], "code"),
        Column(REPAIR["cause"]),
        Column(REPAIR["new_rows"], "number"),
        Column(REPAIR["pairs"], "number"),
        Column(REPAIR["now"]),
    ]
    rows: list[list[Cell | Text]] = [
        [
            f"{one.split}/{one.id}",
            name_failure(one.cause),
            f"{one.num_rows:,}",
            f"{one.num_pairs:,}",
            _OUTCOMES[_find_outcome(now, one.split, one.id)],
        ]
        for one in record.origins
    ]
    counts = [_count_right(split, record, now) for split in dict.fromkeys(one.split for one in record.origins)]
    joined = Bilingual("; ".join(one.en for one in counts), "；".join(one.zh for one in counts))
    title = REPAIR["origins_of"].format(counts=joined)
    return [Disclosure(title, [Table(REPAIR["origins"], columns, rows)])]


def _count_right(split: str, record: RepairRecord, now: Mapping[tuple[str, str], bool]) -> Bilingual:
    failures = [one for one in record.origins if one.split == split]
    right = sum(_find_outcome(now, split, one.id) or False for one in failures)
    return REPAIR["right_of"].format(split=split, right=right, total=len(failures))


def _find_outcome(now: Mapping[tuple[str, str], bool], split: str, row_id: str) -> bool | None:
    """Return whether a failed row is answered right now; ``None`` where it was not asked again."""
    return now.get((split, row_id), now.get((_LOOKED_AT, row_id)))


def _read_outcomes(pack: Pack, record: RepairRecord) -> dict[tuple[str, str], bool]:
    """Return whether the failed rows are answered right in the steps after the repair, by split and id.

    A row of a second split in a file is a control row: it is right where the answer names what is expected.
    """
    names = [step.name for step in pack.files.steps]
    later = pack.files.steps[names.index(record.step) + 1 :]
    outcomes: dict[tuple[str, str], bool] = {}
    for step in later:
        samples = [one for one in step.samples if isinstance(one, EvaluationSample) and one.is_paired]
        for one in samples:
            is_control = one.split != samples[0].split
            outcomes[one.split, one.id] = bool(one.candidate_mentioned if is_control else one.candidate_correct)
    return outcomes


def _name_steps(pack: Pack, split: str) -> str:
    """Name the steps whose options say that they score a split."""
    steps = [
        step.name for step in pack.files.steps if split in (step.config.get("split"), step.config.get("control_split"))
    ]
    return ", ".join(steps) or "–"


def build_decision(decision: Decision) -> list[Block]:
    """Build the answer of a decision, and the criteria that it rests on."""
    answer = REPAIR["yes" if decision.is_yes else "no"]
    return [
        Notice(
            REPAIR["answer"].format(question=decision.title, answer=answer),
            "good" if decision.is_yes else "warn",
            "" if decision.is_yes else join_reasons(decision.list_reasons()),
        ),
        build_criteria(decision.title, decision.criteria),
    ]


def build_criteria(title: Bilingual, criteria: Sequence[Criterion]) -> Table:
    """Build the table of criteria with their values."""
    columns = [
        Column(REPAIR["criterion"]),
        Column(REPAIR["value"], "number"),
        Column(REPAIR["required"], "number"),
        Column(REPAIR["holds"]),
    ]
    rows: list[list[Cell | Text]] = [
        [
            one.title,
            format_figure(one.value, one.style),
            _require(one),
            Cell(REPAIR["yes"], tone="good") if one.holds else Cell(REPAIR["no"], tone="bad"),
        ]
        for one in criteria
    ]
    return Table(title, columns, rows)


def join_reasons(criteria: Sequence[Criterion]) -> Bilingual:
    """Write criteria with their values as one sentence."""
    written = [
        REPAIR["reason"].format(title=one.title, value=format_figure(one.value, one.style), required=_require(one))
        for one in criteria
    ]
    return Bilingual("; ".join(one.en for one in written), "；".join(one.zh for one in written))


def _require(one: Criterion) -> Bilingual:
    return Bilingual("{comparison} {threshold}", "{comparison} {threshold}").format(
        comparison=COMPARISONS[one.comparison], threshold=format_figure(one.threshold, one.style)
    )
