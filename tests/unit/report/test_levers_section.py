"""The section of levers, from a record alone."""

from __future__ import annotations

from dataclasses import replace

from practicum_core.stages.levers import BASELINE, CONTROL, LeverRow, Ratio
from practicum_core.stages.trainprofile import Rung, Share, TrainProfileRecord
from practicum_jobs.render.blocks import Charts, Facts, Notice, Table
from practicum_jobs.report.pack import build_sections
from practicum_jobs.report.reading import StepFiles, read_run
from practicum_jobs.report.verdict import Pack, build_evidence

STAMP = {
    "stage": "trainprofile",
    "step": "trainprofile",
    "started_at": "2026-01-02T03:04:05.000+00:00",
    "finished_at": "2026-01-02T03:04:06.000+00:00",
    "duration_s": 1.0,
}


def build_row(name, ratio=1.0, **fields):
    figures = {"tokens_per_s": 100.0 * ratio, "step_s": 1.0, "peak_gib": 0.5}
    ratios = {} if name == BASELINE else {"tokens_per_s": Ratio(value=ratio, low=ratio - 0.1, high=ratio + 0.1)}
    return LeverRow(name=name, num_rounds=3, figures=figures, ratios=ratios, **fields)


def build_record(**fields):
    rows = [
        build_row(BASELINE),
        build_row(CONTROL, p_adjusted=0.9, verdict="undecided", effect="same", effect_size=0.0),
        build_row("packing=true", 1.4, p_adjusted=0.01, verdict="better", effect="same", effect_size=1e-7),
        build_row("lora_r=4", 0.8, p_adjusted=0.02, verdict="worse", effect="changed", effect_size=0.3),
        LeverRow(name="dtype=bfloat16", note="its process ended with -9"),
    ]
    return TrainProfileRecord(
        **STAMP,
        subject="training",
        baseline_options="batch_size=8",
        deciding_figure="tokens_per_s",
        rows=rows,
        cores=2,
        utilization=0.9,
        ladder=[
            Rung(name="method=full", estimated_bytes=1 << 30, peak_bytes=1 << 30, step_s=2.0),
            Rung(name="method=lora optimizer=adamw", estimated_bytes=1 << 29, peak_bytes=1 << 29),
            Rung(name="method=qlora", estimated_bytes=1 << 28, note="needs 9 GiB"),
        ],
        phases=[Share(name="forward", seconds=1.0, ratio=0.5)],
        operations=[Share(name="matrix products", seconds=1.0, ratio=0.7)],
        bottleneck_en="backward pass",
        bottleneck_zh="反向计算",
        **fields,
    )


def build_section(run, record):
    files = read_run(run.layout, "report")
    files = replace(files, steps=(StepFiles("trainprofile", "trainprofile", record),), data_lock=None)
    sections = build_sections(Pack(files, build_evidence(files), 12))
    return next(section for section in sections if section.slug == "levers")


def test_each_lever_stands_with_its_interval_its_verdict_and_its_effect(make_sft_run):
    blocks = build_section(make_sft_run(), build_record()).blocks
    table = next(block for block in blocks if isinstance(block, Table))
    shown = [[getattr(cell, "text", cell) for cell in row] for row in table.rows]
    assert [getattr(row[-2], "en", row[-2]) for row in shown] == [
        "–",
        "not distinguishable",
        "faster",
        "slower",
        "not measured",
    ]
    assert table.rows[2][1].note == "×1.40 (1.30 … 1.50)"
    assert table.rows[4][-2].note == "its process ended with -9"
    assert any(isinstance(block, Charts) for block in blocks)


def test_without_a_gpu_the_page_says_so_and_gives_no_utilization_of_one(make_sft_run):
    facts = next(block for block in build_section(make_sft_run(), build_record()).blocks if isinstance(block, Facts))
    shown = {fact.label.en: getattr(fact.value, "en", fact.value) for fact in facts.facts}
    assert shown["Hardware"] == "no GPU: computed on 2 cores"
    assert shown["Model FLOP utilization"] == "not known without a GPU of a known peak"
    assert shown["Utilization of cores"] == "90.0%"


def test_the_ladder_shows_what_each_rung_saves(make_sft_run):
    blocks = build_section(make_sft_run(), build_record()).blocks
    ladder = [block for block in blocks if isinstance(block, Table)][-1]
    assert [row[4] for row in ladder.rows] == ["–", "+50%", "–"]
    assert ladder.rows[2][0].note == "needs 9 GiB"
    assert any(isinstance(block, Notice) and "backward pass" in block.text.en for block in blocks)
