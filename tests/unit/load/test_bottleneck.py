"""The first bottleneck is named from what client, gateway and engine said, and proven by a metric with its value."""

from dataclasses import replace

import pytest

from practicum_core.stages.load_results import BottleneckName, Estimate, LoadLevel, LoadSample, ServerMetrics
from practicum_core.stages.loadtest import Objective
from practicum_core.throttling import CpuThrottling, read_throttling
from practicum_jobs.load.bottleneck import find_bottleneck, judge
from practicum_jobs.load.signals import Signals, read_signals
from practicum_jobs.load.timeline import build_timeline

CALM = Signals(
    rate=8.0,
    num_requests=100,
    num_good=50,
    num_slow_ttft=50,
    gateway_waiting=0.0,
    gateway_open=6.0,
    gateway_limit=32.0,
    gateway_queue_s=0.0,
    engine_waiting=0.2,
    engine_running=6.0,
    engine_places=32.0,
    kv_usage=0.1,
    num_preemptions=0.0,
    queue_s=0.01,
    prefill_s=0.05,
    decode_s=0.5,
    throttled_share=0.0,
)
QUEUED = replace(CALM, engine_waiting=12.0, engine_running=31.0, queue_s=3.0)
LATE = "the client sent requests 50 ms late"


@pytest.mark.parametrize(
    ("signals", "name", "metric"),
    [
        (replace(QUEUED, refused=LATE, dispatch_p99_s=0.05), "client", "dispatch_p99_s"),
        (replace(CALM, num_limited=30), "rate_limit", "http_429"),
        (replace(QUEUED, throttled_share=0.6), "cpu_quota", "practicum_cpu_throttled_periods_total"),
        (replace(QUEUED, num_preemptions=9.0), "kv_cache", "vllm:num_preemptions_total"),
        (replace(QUEUED, engine_running=4.0, kv_usage=0.85), "kv_cache", "vllm:kv_cache_usage_perc"),
        (QUEUED, "engine_queue", "vllm:num_requests_waiting"),
        # Measured with vLLM: where several requests end in one step, its gauge says fewer for a moment.
        (
            replace(QUEUED, engine_running=14.2, engine_places=16.0, gateway_waiting=13.6, kv_usage=0.04),
            "engine_queue",
            "vllm:num_requests_waiting",
        ),
        (replace(QUEUED, gateway_waiting=20.0), "engine_queue", "vllm:num_requests_waiting"),
        (replace(CALM, gateway_waiting=20.0), "gateway_queue", "practicum_gateway_waiting_requests"),
        (replace(CALM, gateway_waiting=0.5, num_turned_away=40), "gateway_queue", "practicum_gateway_waiting_requests"),
        (replace(CALM, prefill_s=2.5), "prefill", "vllm:request_prefill_time_seconds"),
        (replace(QUEUED, engine_running=5.0, prefill_s=2.5), "prefill", "vllm:request_prefill_time_seconds"),
        (replace(CALM, num_slow_ttft=0, num_slow_tpot=50), "decode", "vllm:request_decode_time_seconds"),
        (
            replace(QUEUED, num_slow_ttft=0, num_slow_tpot=50, gateway_waiting=9.0),
            "decode",
            "vllm:request_decode_time_seconds",
        ),
        (replace(CALM, num_slow_ttft=0, num_slow_e2e=50), "decode", "vllm:request_decode_time_seconds"),
        (Signals(rate=1.0, num_requests=9, num_good=1, num_slow_ttft=8), "unknown", "not_met"),
    ],
)
def test_each_bottleneck_is_named_by_the_metric_that_shows_it(signals: Signals, name: str, metric: str) -> None:
    found = judge(signals)
    assert (found.name, found.proofs[0].metric) == (name, metric)
    assert all(proof.text_en and proof.text_zh for proof in found.proofs)


def test_a_cache_that_is_hardly_used_is_no_bottleneck_though_requests_wait() -> None:
    # One more of two requests would fit many times over.
    found = judge(replace(QUEUED, engine_running=2.0, engine_places=2.0, kv_usage=0.02))
    assert found.name is BottleneckName.ENGINE_QUEUE
    assert found.proofs[-1].limit == 2.0
    assert "max_num_seqs" in found.proofs[-1].text_en


def test_what_is_further_on_is_said_too() -> None:
    found = judge(replace(QUEUED, throttled_share=0.5, gateway_waiting=9.0))
    assert found.name is BottleneckName.CPU_QUOTA
    assert found.others == [BottleneckName.ENGINE_QUEUE, BottleneckName.GATEWAY_QUEUE]
    assert judge(replace(QUEUED, refused=LATE)).others == []


def make_level(load: int, rate: float, *, meets_slo: bool, refused: str = "") -> LoadLevel:
    return LoadLevel(
        load=load,
        rate=rate,
        start_s=100.0 * load,
        end_s=100.0 * load + 10,
        scheduled_rate=rate,
        reached_rate=rate,
        num_requests=10,
        num_ok=10,
        num_failed=0,
        meets_slo=meets_slo,
        refused=refused,
    )


def make_samples(load: int, ttft_s: float, error: str = "") -> list[LoadSample]:
    times = [100.0 * load + number for number in range(10)]
    return [
        LoadSample(
            load=load, rate=1, scheduled_s=at, sent_s=at, first_token_s=at + ttft_s, ended_s=at + ttft_s, error=error
        )
        for at in times
    ]


def make_metrics(start_s: float, waiting: float, name: str = "engine:a") -> list[ServerMetrics]:
    rows = []
    for number in range(-2, 12):
        values = {
            "vllm:num_requests_waiting": waiting if number % 2 else 0.0,
            "vllm:num_requests_running": 4.0 if number % 2 else 1.0,
            "vllm:kv_cache_usage_perc": 0.1,
            "vllm:num_preemptions_total": 5.0,
            "vllm:request_queue_time_seconds_sum": 100.0 + 2 * number,
            "vllm:request_queue_time_seconds_count": 50.0 + number,
            "practicum_engine_max_num_seqs": 4.0,
        }
        rows.append(ServerMetrics(at_s=start_s + number, source=name, values=values))
    return rows


def test_the_lowest_rate_that_failed_is_judged() -> None:
    levels = [
        make_level(2, 4.0, meets_slo=False),
        make_level(0, 1.0, meets_slo=True),
        make_level(1, 2, meets_slo=False),
    ]
    samples = [*make_samples(0, 0.1), *make_samples(1, 3.0), *make_samples(2, 9.0)]
    metrics = [*make_metrics(0, 0), *make_metrics(100, 6.0), *make_metrics(200, 60.0)]
    found = find_bottleneck(levels, samples, metrics, Objective(ttft_s=1.0))
    assert (found.name, found.rate) == (BottleneckName.ENGINE_QUEUE, 2.0)
    # Every other second has a queue of six; while it is there, all four places are taken.
    assert found.proofs[0].value == pytest.approx(3.0, abs=0.3)
    assert [proof.value for proof in found.proofs[1:]] == [2.0, 4.0]


def test_a_rate_that_failed_by_chance_perhaps_is_judged_after_those_that_surely_did() -> None:
    unsure, sure = Estimate(value=0.93, low=0.8, high=0.98), Estimate(value=0.5, low=0.4, high=0.6)
    levels = [
        make_level(0, 1.0, meets_slo=False).model_copy(update={"good_share": unsure}),
        make_level(1, 2.0, meets_slo=False).model_copy(update={"good_share": sure}),
    ]
    samples = [*make_samples(0, 3.0, "http_429"), *make_samples(1, 3.0)]
    metrics = make_metrics(100, 6.0)
    found = find_bottleneck(levels, samples, metrics, Objective(ttft_s=1.0))
    assert (found.name, found.rate) == (BottleneckName.ENGINE_QUEUE, 2.0)
    assert find_bottleneck(levels[:1], samples, metrics, Objective(ttft_s=1.0)).name is BottleneckName.RATE_LIMIT


def test_the_next_rate_is_judged_where_the_lowest_that_failed_shows_nothing() -> None:
    levels = [make_level(0, 1.0, meets_slo=False), make_level(1, 2.0, meets_slo=False)]
    samples = [*make_samples(0, 3.0), *make_samples(1, 3.0, "http_429")]
    assert find_bottleneck(levels, samples, [], Objective(ttft_s=1.0)).name is BottleneckName.RATE_LIMIT
    unknown = find_bottleneck(levels[:1], samples, [], Objective(ttft_s=1.0))
    assert (unknown.name, unknown.rate, unknown.proofs[0].value) == (BottleneckName.UNKNOWN, 1.0, 10)


def test_requests_that_a_client_gave_up_are_slow_where_they_were() -> None:
    level = make_level(0, 1.0, meets_slo=False)
    begun = [one.model_copy(update={"error": "open"}) for one in make_samples(0, 0.1)]
    silent = [one.model_copy(update={"error": "timeout", "first_token_s": None}) for one in make_samples(0, 0.1)]
    objective = Objective(tpot_s=0.1)
    found = read_signals(level, [*begun, *silent, *make_samples(0, 0.1, "lost")], make_metrics(0, 0.0), objective)
    assert (found.num_slow_e2e, found.num_slow_ttft, found.num_bad) == (10, 10, 30)
    assert judge(read_signals(level, begun, make_metrics(0, 0.0), objective)).name is BottleneckName.DECODE


def test_llama_cpp_shows_its_queue_under_its_own_names() -> None:
    names = {"vllm:num_requests_waiting": "llamacpp:requests_deferred"}
    names["vllm:num_requests_running"] = "llamacpp:requests_processing"
    metrics = [
        one.model_copy(update={"values": {names[name]: value for name, value in one.values.items() if name in names}})
        for one in make_metrics(0, 6.0)
    ]
    level = make_level(0, 1.0, meets_slo=False)
    found = find_bottleneck([level], make_samples(0, 3.0), metrics, Objective(ttft_s=1.0))
    assert found.name is BottleneckName.ENGINE_QUEUE
    assert [one.metric for one in found.proofs] == list(names.values())
    assert max(point.waiting or 0 for point in build_timeline([level], [], metrics)) == 6.0


def test_no_bottleneck_is_named_where_every_rate_met_the_objective() -> None:
    levels = [make_level(0, 1.0, meets_slo=True), make_level(1, 2.0, meets_slo=True)]
    found = find_bottleneck(levels, make_samples(1, 0.1), [], Objective(ttft_s=1.0))
    assert (found.name, found.rate, found.proofs[0].value) == (BottleneckName.NONE, 2.0, 10)
    assert find_bottleneck([], [], [], Objective()).name is BottleneckName.NONE


def test_a_client_that_refused_its_figures_is_the_bottleneck_of_its_rate() -> None:
    levels = [make_level(0, 1.0, meets_slo=True), make_level(1, 2.0, meets_slo=False, refused=LATE)]
    found = find_bottleneck(levels, make_samples(1, 9.0), make_metrics(100, 60.0), Objective(ttft_s=1.0))
    assert (found.name, found.rate) == (BottleneckName.CLIENT, 2.0)


def test_engines_are_added_up_and_a_restart_counts_from_zero() -> None:
    level = make_level(0, 1.0, meets_slo=False)
    metrics = [*make_metrics(0, 6.0), *make_metrics(0, 2.0, "engine:b")]
    for at_s, total, periods in ((1.0, 7.0, 10.0), (5.0, 1.0, 40.0), (9.0, 4.0, 60.0)):
        values = {"vllm:num_preemptions_total": total, "practicum_cpu_periods_total": periods}
        values["practicum_cpu_throttled_periods_total"] = periods / 2
        metrics.append(ServerMetrics(at_s=at_s, source="engine:c", values=values))
    found = read_signals(level, make_samples(0, 3.0), metrics, Objective(ttft_s=1.0))
    assert found.engine_places == 8.0
    assert found.engine_waiting == pytest.approx(8 * 5 / 11)
    assert found.engine_running == 8.0
    assert found.num_preemptions == 1.0 + 3.0
    assert (found.throttled_share, found.throttled_source) == (0.5, "engine")
    assert (found.num_slow_ttft, found.num_good, found.gateway_waiting) == (10, 0, None)


@pytest.mark.parametrize(
    ("membership", "folder", "stat"),
    [
        ("0::/pod/engine\n", "pod/engine", "usage_usec 9\nnr_periods 40\nnr_throttled 10\nthrottled_usec 2500000\n"),
        ("0::/\n", "", "nr_periods 40\nnr_throttled 10\nthrottled_usec 2500000\n"),
        ("3:cpu,cpuacct:/x\n0::/\n", "cpu,cpuacct/x", "nr_periods 40\nnr_throttled 10\nthrottled_time 2500000000\n"),
        ("1:cpu:/gone\n", "cpu", "nr_periods 40\nnr_throttled 10\nthrottled_time 2500000000\n"),
    ],
)
def test_throttling_is_read_from_the_own_control_group(tmp_path, membership: str, folder: str, stat: str) -> None:
    (tmp_path / "cgroup").write_text(membership)
    (tmp_path / "root" / folder).mkdir(parents=True)
    (tmp_path / "root" / folder / "cpu.stat").write_text(stat)
    assert read_throttling(tmp_path / "cgroup", tmp_path / "root") == CpuThrottling(40, 10, 2.5)


def test_a_machine_without_control_groups_has_no_throttling(tmp_path) -> None:
    assert read_throttling(tmp_path / "none", tmp_path) is None
    (tmp_path / "cgroup").write_text("0::/\n")
    (tmp_path / "cpu.stat").write_text("usage_usec 9\nodd line of words\n")
    assert read_throttling(tmp_path / "cgroup", tmp_path) is None
