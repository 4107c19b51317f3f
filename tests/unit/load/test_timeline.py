"""The time line of a load test: engines added up, rates at their times, few enough points to draw."""

from practicum_core.stages.load_results import LoadLevel, LoadSample, ServerMetrics
from practicum_jobs.load.timeline import build_timeline


def make_metrics(at_s: float, source: str, **values: float) -> ServerMetrics:
    return ServerMetrics(at_s=at_s, source=source, values=values)


def make_engine(at_s: float, name: str, running: float, waiting: float, usage: float) -> ServerMetrics:
    names = ("num_requests_running", "num_requests_waiting", "kv_cache_usage_perc")
    values = {f"vllm:{key}": value for key, value in zip(names, (running, waiting, usage), strict=True)}
    return ServerMetrics(at_s=at_s, source=f"engine:{name}", values=values)


def test_each_second_has_what_ran_and_waited_and_the_rate_that_was_sent() -> None:
    level = LoadLevel(
        load=0, rate=4, start_s=12, end_s=20, scheduled_rate=4, reached_rate=4, num_requests=1, num_ok=1, num_failed=0
    )
    first = LoadSample(load=0, rate=4, phase="warmup", scheduled_s=9.5, sent_s=9.5, ended_s=10)
    metrics = [
        make_engine(5.02, "a", 1, 0, 0.1),
        make_engine(10.02, "a", 3, 2, 0.2),
        make_engine(10.03, "b", 4, 1, 0.6),
        make_metrics(10.04, "gateway", practicum_gateway_waiting_requests=7),
        make_metrics(21.0, "cpu", busy_share=0.5),
    ]
    before, during, after = build_timeline([level], [first], metrics)
    assert (before.rate, before.num_engines, before.gateway_waiting) == (None, 1, None)
    assert during.model_dump() == {
        "at_s": 10,
        "rate": 4,
        "running": 7,
        "waiting": 3,
        "gateway_waiting": 7,
        "kv_usage": 0.6,
        "num_engines": 2,
    }
    assert (after.rate, after.running, after.num_engines) == (None, None, 0)


def test_a_server_that_misses_a_second_is_not_gone() -> None:
    metrics = [make_engine(second, "a", 1, 0, 0) for second in (0, 1, 3, 9)]
    metrics += [make_metrics(second, "cpu", busy_share=1) for second in range(10)]
    assert [point.num_engines for point in build_timeline([], [], metrics)] == [1, 1, 1, 1, 1, 1, 0, 0, 0, 1]


def test_a_long_test_has_few_points() -> None:
    metrics = [make_engine(second, "a", second, 0, 0) for second in range(7200)]
    points = build_timeline([], [], metrics)
    assert 500 <= len(points) <= 600
    assert (points[0].at_s, points[-1].at_s) == (0, 7188)
    assert build_timeline([], [], []) == []
