"""Model card and data card in the format of the Hugging Face Hub, each in English and Chinese, filled from records."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from huggingface_hub import DatasetCard, DatasetCardData, EvalResult, ModelCard, ModelCardData

from practicum_core.metrics import StageMetric
from practicum_core.stages.snapshot import DataLock
from practicum_core.texts import Bilingual, Text
from practicum_core.units.sft import SFT
from practicum_jobs.capstone.facts import WeekFacts, choose_weeks
from practicum_jobs.render.figures import format_interval, format_metric, get_metric_title

_LANGUAGES = ["en", "zh"]
_TAGS = ["practicum"]
_TASK = "text-generation"


def build_model_card(facts: Sequence[WeekFacts]) -> str:
    """Build the model card of the tuned model, with what was measured of it and what went wrong."""
    locked = next((one.week.model for one in facts if one.week.model is not None), None)
    data = _find_data(facts)
    base = locked.uri if locked else "not recorded"
    card = ModelCardData(
        language=_LANGUAGES,
        base_model=base,
        pipeline_tag=_TASK,
        tags=_TAGS,
        model_name=f"{base}, tuned",
        eval_results=_list_results(facts, data.uri if data else "not recorded"),
    )
    lines = [
        "# Model card / 模型卡",
        "",
        f"- Base model / 基座模型: `{base}`" + (f", SHA-256 `{locked.sha256}`" if locked else ""),
        f"- Data / 数据: `{data.uri}`" if data else "- Data / 数据: not recorded / 未记录",
        f"- Runs / 运行: {', '.join(f'`{one.week.name}`' for one in facts)}",
        "",
        "## What was measured / 测得的结果",
        "",
        *_build_table([*choose_weeks(facts, "effect"), *choose_weeks(facts, "performance")]),
        "",
        "## Risks and limits / 风险与局限",
        "",
        *(_list_risks(facts) or ["- None recorded / 无记录"]),
        "",
        "## Intended use / 预期用途",
        "",
        "A model of a course: it shows a method and is not meant for decisions about people.",
        "课程模型：用于展示方法，不应用于对人作出决定。",
        "",
    ]
    return str(ModelCard(f"---\n{card.to_yaml()}\n---\n\n" + "\n".join(lines)))


def build_data_card(facts: Sequence[WeekFacts]) -> str:
    """Build the card of the data set that the model was trained on."""
    data = _find_data(facts)
    card = DatasetCardData(language=_LANGUAGES, pretty_name=data.uri if data else "not recorded", tags=_TAGS)
    lines = ["# Data card / 数据卡", ""]
    if data is None:
        lines.append("No week froze a data set. / 没有哪一周冻结过数据集。")
    else:
        lines += [
            f"- Address / 地址: `{data.uri}`",
            f"- Generator / 生成器: {data.generator_version or '–'}",
            "",
            "| Split / 划分 | Rows / 行数 | Bytes / 字节 | SHA-256 |",
            "|---|---:|---:|---|",
            *(
                f"| {name} | {split.num_rows:,} | {split.size_bytes:,} | `{split.sha256}` |"
                for name, split in data.splits.items()
            ),
        ]
    audited = [one for one in facts if one.week.has_content_of("data")]
    lines += ["", "## Audit / 审计", "", *(_build_table(audited) if audited else ["Not audited. / 未审计。"]), ""]
    lines += _list_risks(audited)
    return str(DatasetCard(f"---\n{card.to_yaml()}\n---\n\n" + "\n".join(lines) + "\n"))


def _find_data(facts: Sequence[WeekFacts]) -> DataLock | None:
    """Return the data of the week that trained the model; that of the first week with any where none did."""
    trained = [one for one in facts if one.week.has_content_of(SFT.name)]
    return next((one.week.data for one in (*trained, *facts) if one.week.data is not None), None)


def _list_results(facts: Sequence[WeekFacts], data: str) -> list[EvalResult]:
    """List the figures of effect that have an interval; of one that several weeks measured, the last."""
    measured = {one.name: one for week in choose_weeks(facts, "effect") for one in week.figures}
    return [
        EvalResult(
            task_type=_TASK,
            dataset_type=data,
            dataset_name=data,
            metric_type=one.name,
            metric_value=round(one.value, 6),
            metric_name=get_metric_title(one).title.en,
        )
        for one in measured.values()
        if one.low is not None
    ]


def _build_table(facts: Sequence[WeekFacts]) -> list[str]:
    rows = [_build_row(one, metric) for one in facts for metric in one.figures]
    return [
        "| Week / 周 | Figure / 指标 | Value / 数值 | 95% |",
        "|---|---|---:|---:|",
        *(rows or ["| – | – | – | – |"]),
    ]


def _build_row(one: WeekFacts, metric: StageMetric) -> str:
    title = get_metric_title(metric).title
    cells = [one.title, title, format_metric(metric), format_interval(metric) or "–"]
    return f"| {' | '.join(_write(cell) for cell in cells)} |"


def _list_risks(facts: Iterable[WeekFacts]) -> list[str]:
    lines = []
    for one in facts:
        lines += [f"- {_write(one.title)}: {_write(gate)}" for gate in one.failed_gates]
        lines += [f"- {_write(one.title)}: {_write(found.title)} ({found.number})" for found in one.failures]
    return lines


def _write(text: Text) -> str:
    """Write a text in both languages, safe in a cell of a Markdown table."""
    both = text if isinstance(text, str) or text.en == text.zh else f"{text.en} / {text.zh}"
    shown = both.en if isinstance(both, Bilingual) else both
    return shown.replace("|", "\\|").replace("\n", " ")
