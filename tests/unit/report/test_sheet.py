"""The section of quantized models, from a record alone."""

from __future__ import annotations

from dataclasses import replace

from practicum_core.stages.prompts import PromptCheck
from practicum_core.stages.quantcheck import ORIGINAL, Recommendation, SheetRecord, SheetRow, TaskDelta
from practicum_core.stages.quantize import Fidelity
from practicum_jobs.render.blocks import Charts, Paragraph, Table
from practicum_jobs.report.pack import build_sections
from practicum_jobs.report.reading import StepFiles, read_run
from practicum_jobs.report.verdict import Pack, build_evidence

STAMP = {
    "stage": "weigh",
    "step": "weigh",
    "started_at": "2026-01-02T03:04:05.000+00:00",
    "finished_at": "2026-01-02T03:04:06.000+00:00",
    "duration_s": 1.0,
}


def build_fidelity(distance):
    perplexity = {"en": 20.0, "zh": 30.0}
    return Fidelity(engine="vllm", num_tokens=9, kl_mean=distance, top1_agreement=0.9, perplexity=perplexity)


def build_sheet(run, rows):
    advice = Recommendation(task="extract", name="int8", reason_en="small", reason_zh="小")
    record = SheetRecord(**STAMP, margin=0.1, rows=rows, recommendations=[advice])
    files = read_run(run.layout, "report")
    files = replace(files, steps=(StepFiles("weigh", "weigh", record),), data_lock=None)
    sections = build_sections(Pack(files, build_evidence(files), 12))
    return next(section for section in sections if section.slug == "sheet")


def test_every_line_stands_in_the_tables_and_on_the_plot(make_sft_run):
    delta = TaskDelta(
        task="extract",
        num_items=60,
        num_clusters=30,
        original=0.9,
        artifact=0.88,
        difference=-0.02,
        low=-0.05,
        high=0.01,
        verdict="equivalent",
        num_lost=3,
        num_gained=2,
    )
    measured = {"load_s": 1.0, "resident_bytes": 2**20, "baseline_bytes": 2**19, "peak_bytes": 2**21, "ttft_s": 0.1}
    rows = [
        SheetRow(name=ORIGINAL, engine="vllm", disk_bytes=500, fidelity=build_fidelity(0.001), **measured),
        SheetRow(
            name="int8",
            engine="vllm",
            disk_bytes=200,
            fidelity=build_fidelity(0.1),
            tasks=[delta],
            prompts=PromptCheck(num_prompts=4, num_same=4),
            chat_template=PromptCheck(num_prompts=4, num_same=3, first_difference="prompt 2: cut after token 9"),
            **measured,
        ),
        SheetRow(
            name="fp8",
            engine="vllm",
            disk_bytes=200,
            notes=["stopped after 240 s"],
            prompts=PromptCheck(num_prompts=4, num_same=1, num_not_shown=3),
        ),
    ]
    blocks = build_sheet(make_sft_run(), rows).blocks
    tables = [block for block in blocks if isinstance(block, Table)]
    assert [len(table.rows) for table in tables] == [1, 3, 3, 3, 3, 1]
    prompts = [[repr(cell) for cell in row[2:]] for row in tables[3].rows]
    assert ["4 of 4 the same" in prompts[1][0], "prompt 2: cut after token 9" in prompts[1][1]] == [True, True]
    assert "not shown" in prompts[2][0]
    assert "equal within the margin" in repr(tables[-1].rows)
    assert "n=60: 3 lost, 2 gained" in repr(tables[-1].rows)
    (charts,) = (block for block in blocks if isinstance(block, Charts))
    assert "int8" in charts.charts[0][0].body
    assert "fp8" not in charts.charts[0][0].body
    assert [block.text for block in blocks if isinstance(block, Paragraph)] == ["fp8: stopped after 240 s"]


def test_nothing_measured_is_shown_as_missing_and_draws_nothing(make_sft_run):
    rows = [SheetRow(name="awq", engine="vllm", disk_bytes=9, notes=["did not load"])]
    blocks = build_sheet(make_sft_run(), rows).blocks
    assert not any(isinstance(block, Charts) for block in blocks)
