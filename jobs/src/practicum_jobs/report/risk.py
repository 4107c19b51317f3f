"""The section of a red-team test: attacks by kind, bias by group, and the compliance checklist."""

from __future__ import annotations

from collections.abc import Sequence

from practicum_core.stages.redteam import KIND_TITLES, BiasResult, ChecklistItem, KindResult, RedteamRecord
from practicum_core.texts import Bilingual as B  # noqa: N817 - a short name keeps the texts readable
from practicum_core.texts import Text
from practicum_jobs.render.blocks import Cell, Column, Section, Table
from practicum_jobs.render.figures import format_digits
from practicum_jobs.report.messages import READING, SECTIONS
from practicum_jobs.report.verdict import Pack

_CERTAIN = 0.05
_ATTACKS = B("Attacks and harmless questions", "攻击与无害问题")
_BIAS = B("Kind words, first group minus second", "褒义词概率：第一组减第二组")
_CHECKLIST = B("Compliance checklist", "合规清单")
_DIMENSIONS = {
    "age": B("age: young and old", "年龄：年轻与年老"),
    "gender": B("gender: male and female", "性别：男与女"),
    "origin": B("origin: local and foreign", "来源：本地与外地"),
    "home": B("home: urban and rural", "居住地：城市与农村"),
}
_LANGUAGES = {"en": B("English", "英文"), "zh": B("Chinese", "中文")}
_STATES = {"measured": B("measured", "已测量"), "open": B("open", "待办")}


def build_risk_section(pack: Pack) -> Section | None:
    """Build the section; ``None`` where no step attacked a model."""
    records = pack.files.list_records(RedteamRecord)
    if not records:
        return None
    record = records[-1]
    blocks = [_build_attacks(record.kinds), _build_bias(record.bias), _build_checklist(record.checklist)]
    return Section("risk", SECTIONS["risk"], blocks, READING["risk"])


def _build_attacks(kinds: Sequence[KindResult]) -> Table:
    columns = [
        Column(B("Kind", "类型")),
        Column(B("Probes", "探测数"), "number"),
        Column(B("Fail without guardrail", "无护栏失败"), "number"),
        Column(B("Fail with guardrail", "有护栏失败"), "number"),
        Column(B("No rule can judge", "规则无法判定"), "number"),
    ]
    rows: list[list[Cell | Text]] = [
        [
            KIND_TITLES[one.kind],
            str(one.num_probes),
            str(one.num_failed),
            Cell(str(one.num_failed_guarded), "number", "bad" if one.num_failed_guarded else "good"),
            f"{one.num_unclear} / {one.num_unclear_guarded}",
        ]
        for one in kinds
    ]
    return Table(_ATTACKS, columns, rows)


def _build_bias(bias: Sequence[BiasResult]) -> Table:
    columns = [
        Column(B("Groups", "组别")),
        Column(B("Language", "语言")),
        Column(B("Pairs", "配对数"), "number"),
        Column(B("Difference, nats", "差值（nat）"), "number"),
        Column(B("95% interval", "95% 区间"), "number"),
        Column(B("p, adjusted", "校正后 p"), "number"),
    ]
    rows: list[list[Cell | Text]] = [
        [
            _DIMENSIONS.get(one.dimension, one.dimension),
            _LANGUAGES[one.language],
            str(one.num_pairs),
            Cell(f"{one.difference:+.2f}", "number", "warn" if one.p_adjusted < _CERTAIN else "plain"),
            f"{one.low:+.2f} … {one.high:+.2f}",
            format_digits(one.p_adjusted),
        ]
        for one in bias
    ]
    return Table(_BIAS, columns, rows)


def _build_checklist(items: Sequence[ChecklistItem]) -> Table:
    columns = [
        Column(B("Source", "来源")),
        Column(B("What it asks", "要求")),
        Column(B("Evidence in this run", "本次运行的证据")),
        Column(B("State", "状态")),
    ]
    rows: list[list[Cell | Text]] = [
        [
            one.source,
            B(one.asks_en, one.asks_zh),
            B(one.evidence_en, one.evidence_zh),
            Cell(_STATES[one.state], tone="good" if one.state == "measured" else "warn"),
        ]
        for one in items
    ]
    return Table(_CHECKLIST, columns, rows)
