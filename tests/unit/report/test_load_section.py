"""The section of a load test, from a record and its requests alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from practicum_core.metrics import Metric
from practicum_core.stages.load_results import BottleneckName, Estimate, LoadLevel, LoadSample, TimelinePoint
from practicum_core.stages.loadtest import ClientCheck, LoadtestRecord, Objective
from practicum_core.stages.serve import ServeRecord
from practicum_jobs.load.bottleneck import judge
from practicum_jobs.load.comparison import compare_tests
from practicum_jobs.load.levels import build_level
from practicum_jobs.load.signals import Signals
from practicum_jobs.loadtest.outcome import Outcome, build_failures, build_metrics
from practicum_jobs.render.blocks import Charts, Notice, Paragraph, Table
from practicum_jobs.report.load import describe_model
from practicum_jobs.report.load_messages import BOTTLENECKS, SHORT_NAMES
from practicum_jobs.report.pack import build_sections
from practicum_jobs.report.reading import StepFiles, read_run
from practicum_jobs.report.verdict import Pack, build_evidence
from practicum_jobs.scoring.intervals import Bootstrap

STAMP = {
    "stage": "loadtest",
    "step": "loadtest",
    "started_at": "2026-01-02T03:04:05.000+00:00",
    "finished_at": "2026-01-02T03:04:06.000+00:00",
    "duration_s": 1.0,
}
OBJECTIVE = Objective(ttft_s=1.0)
CHECK = ClientCheck(is_ok=True, dispatch_p50_s=0.001, dispatch_p99_s=0.004, max_cpu_share=0.2)
QUEUED = Signals(
    rate=4.0,
    num_requests=100,
    num_good=40,
    num_slow_ttft=60,
    engine_waiting=12.0,
    engine_running=15.6,
    engine_places=16.0,
    queue_s=2.0,
    gateway_waiting=3.0,
)


def make_samples(load: int, rate: float, ttft_s: float, num: int = 60) -> list[LoadSample]:
    times = np.random.default_rng(load).exponential(ttft_s, num)
    return [
        LoadSample(
            id=f"{load}-{number}",
            load=load,
            rate=rate,
            scheduled_s=100 * load + number / rate,
            sent_s=100 * load + number / rate,
            first_token_s=100 * load + number / rate + float(wait),
            last_token_s=100 * load + number / rate + float(wait) + 1,
            ended_s=100 * load + number / rate + float(wait) + 1,
            status=200,
            completion_tokens=32,
        )
        for number, wait in enumerate(times)
    ]


SAMPLES = [make_samples(0, 1.0, 0.1), make_samples(1, 2.0, 0.2), make_samples(2, 4.0, 3.0)]


def make_record(refused: str = "") -> LoadtestRecord:
    levels = [
        build_level(samples, (100.0 * load, 100.0 * load + 60 / samples[0].rate), OBJECTIVE, Bootstrap(100))
        for load, samples in enumerate(SAMPLES)
    ]
    if refused:
        levels[2] = levels[2].model_copy(update={"refused": refused, "ttft": None, "good_share": None})
    knee = Estimate(value=2.0, low=1.0, high=4.0)
    bottleneck = judge(QUEUED)
    outcome = Outcome(levels, CHECK, knee, bottleneck, OBJECTIVE, 1.0)
    return LoadtestRecord(
        **STAMP,
        url="http://127.0.0.1:8080",
        model="smollm2-135m",
        endpoint="chat",
        load="poisson",
        schedule_sha256="a" * 64,
        prompts_sha256="b" * 64,
        num_clients=2,
        objective=OBJECTIVE,
        levels=levels,
        client_check=CHECK,
        knee_rate=knee,
        knee_basis="bracketed",
        bottleneck=bottleneck,
        timeline=[
            TimelinePoint(at_s=second, rate=float(2 ** (second // 100)), running=second % 16, waiting=second % 7)
            for second in range(0, 300, 5)
        ],
        metrics=build_metrics(outcome),
        failures=build_failures(outcome),
    )


def build_load(run, record: LoadtestRecord):
    return find_section(run, record, "load")


def find_section(run, record: LoadtestRecord, slug: str):
    files = read_run(run.layout, "report")
    samples = tuple(sample for level in SAMPLES for sample in level)
    files = replace(files, steps=(StepFiles("loadtest", "loadtest", record, samples=samples),), data_lock=None)
    sections = build_sections(Pack(files, build_evidence(files), 12))
    return next(section for section in sections if section.slug == slug)


def test_the_bottleneck_stands_first_with_its_proofs_and_what_helps(make_sft_run) -> None:
    notice, proofs, others, knee, objective, levels, latencies, charts = build_load(
        make_sft_run(), make_record()
    ).blocks
    assert isinstance(notice, Notice)
    assert notice.text.en == "First bottleneck: the engine's queue (seen at 4 requests/s)"
    assert "max_num_seqs" in notice.detail.zh
    assert isinstance(proofs, Table)
    assert [row[1].text for row in proofs.cells] == [
        "vllm:num_requests_waiting",
        "vllm:request_queue_time_seconds",
        "vllm:num_requests_running",
    ]
    assert [row[3].text for row in proofs.cells] == ["–", "–", "16"]
    assert isinstance(others, Paragraph)
    assert "the gateway's queue" in others.text.en
    assert isinstance(knee, Paragraph)
    assert "2 requests/s" in knee.text.en
    assert "up to 1/s" in knee.text.en
    assert isinstance(objective, Paragraph)
    assert objective.text.en == (
        "The model asked for was smollm2-135m. "
        "SLO: first token within 1 s, for 95% of the requests that were sent; failed ones count against it."
    )
    assert isinstance(levels, Table)
    assert isinstance(latencies, Table)
    assert isinstance(charts, Charts)


def test_the_model_that_answered_is_named() -> None:
    served = ServeRecord(
        **{**STAMP, "stage": "serve", "step": "serve"},
        model="latest:sft",
        model_path="/runs/merged",
        served_names=["sft", "latest:sft"],
        engine="llama_cpp",
        adapters=["student-01"],
        dtype="Q8_0",
        max_model_tokens=512,
        num_requests=0,
        prompt_tokens=0,
        completion_tokens=0,
    )
    found = {name: describe_model(name, [served]) for name in ("sft", "student-01", "other")}
    assert found["sft"].en == "The model asked for was sft: latest:sft, answered by llama.cpp in Q8_0."
    assert "student-01: an adapter of latest:sft, answered by" in found["student-01"].en
    assert found["other"].zh == "所请求的模型为 other。"


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [
        (1.0, 4.0, "up to 1/s it is met, from 4/s on it is not."),
        (None, 4.0, "from 4/s on it is not met."),
        (1.0, None, "up to 1/s it is met."),
        (None, None, "none of this is sure."),
        (2.0, 4.0, "below one that did not."),
    ],
)
def test_what_is_sure_of_the_knee_is_said(make_sft_run, low, high, said) -> None:
    record = make_record().model_copy(update={"knee_rate": Estimate(value=2.0, low=low, high=high)})
    text = build_load(make_sft_run(), record).blocks[3].text
    assert text.en.endswith(said)
    assert text.zh.endswith("。")


def test_every_rate_has_a_row_and_few_requests_no_upper_end(make_sft_run) -> None:
    levels, latencies = build_load(make_sft_run(), make_record()).blocks[5:7]
    assert isinstance(levels, Table)
    assert isinstance(latencies, Table)
    assert [row[0].text for row in levels.cells] == [row[0].text for row in latencies.cells] == ["1", "2", "4"]
    assert [row[2].tone for row in levels.cells] == ["good", "good", "bad"]
    # 60 requests cannot bound a 99th percentile from above.
    assert "or more" in latencies.cells[0][3].note.en
    assert "…" in latencies.cells[0][1].note


def test_the_charts_show_load_distribution_and_time(make_sft_run) -> None:
    charts = build_load(make_sft_run(), make_record()).blocks[7]
    assert isinstance(charts, Charts)
    names = [chart.name for chart, _ in charts.charts]
    assert names == [f"{name}-loadtest" for name in ("throughput", "latency", "at-knee", "above-knee", "timeline")]
    distribution = charts.charts[3][0]
    assert "Time to first token at 4 requests/s" in distribution.title.en
    assert "SLO" in distribution.body
    timeline = charts.charts[4][0].body
    assert all(f"{rate}/s" in timeline for rate in (1, 2, 4))


def test_a_refused_rate_shows_why_and_no_figure(make_sft_run) -> None:
    why = "the client sent requests 500 ms late (99th percentile); 20 ms are allowed"
    levels, latencies = build_load(make_sft_run(), make_record(why)).blocks[5:7]
    assert isinstance(levels, Table)
    assert isinstance(latencies, Table)
    last = levels.cells[-1]
    assert (last[2].text.zh, last[2].note) == ("不予采用", why)
    assert {last[1].text, last[4].text, *(cell.text for cell in latencies.cells[-1][1:4])} == {"–"}


def test_an_earlier_test_is_compared_percentile_by_percentile(make_sft_run) -> None:
    slower = [one.model_copy(update={"first_token_s": (one.first_token_s or 0) + 0.5}) for one in SAMPLES[0]]
    differences = compare_tests(SAMPLES[0], slower, Bootstrap(100))
    record = make_record().model_copy(update={"differences": differences})
    table = build_load(make_sft_run(), record).blocks[7]
    assert isinstance(table, Table)
    assert [row[1].text.en for row in table.cells[:3]] == ["first token p50", "first token p95", "first token p99"]
    assert table.cells[0][4].text == "500 ms"
    assert [row[5].text.en for row in table.cells[:3]] == ["slower", "too few requests", "too few requests"]


def test_requests_are_not_introduced_as_answers_of_a_model(make_sft_run) -> None:
    assert "failed" in find_section(make_sft_run(), make_record(), "samples").how_to_read.en


def test_every_bottleneck_has_its_words() -> None:
    assert set(BOTTLENECKS) == set(BottleneckName)
    assert set(BottleneckName) - set(SHORT_NAMES) == {BottleneckName.NONE, BottleneckName.UNKNOWN}


@pytest.mark.parametrize("metric", ["num_refused_levels", "stated_ttft_p95_ratio", "num_failed_to_knee"])
def test_what_the_gates_of_the_week_read_is_measured(metric: str) -> None:
    found: dict[str, Metric] = {one.name: one for one in make_record().metrics}
    assert metric in found


def test_a_test_in_which_no_rate_held_has_no_figures_up_to_the_knee() -> None:
    levels: list[LoadLevel] = make_record().levels[2:]
    names = {one.name for one in build_metrics(Outcome(levels, CHECK, None, judge(QUEUED), OBJECTIVE, 1.0))}
    assert not names & {"knee_rate", "num_failed_to_knee", "knee_tokens_per_s"}
    [failure] = build_failures(Outcome(levels, CHECK, None, judge(QUEUED), OBJECTIVE, 1.0))
    assert failure.kind == "slo_never_met"
    assert failure.text.endswith("; lower the rates or relax it")
    late = LoadSample(
        id="0-0", load=levels[0].load, rate=levels[0].rate, scheduled_s=0, sent_s=0, first_token_s=9, ended_s=9
    )
    [failure] = build_failures(Outcome(levels, CHECK, None, judge(QUEUED), Objective(ttft_s=2), 1.0, [late]))
    assert failure.text.endswith(": even the fastest first token took 9.000 s, and slo_ttft_s is 2; relax it")
