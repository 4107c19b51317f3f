"""Two load tests compared rate by rate, request by request where they sent the same schedule."""

import numpy as np
import pytest

from practicum_core.errors import DataError
from practicum_core.stages.load_results import LoadSample
from practicum_jobs.load.comparison import compare_tests, has_same_schedule, read_samples
from practicum_jobs.scoring.intervals import Bootstrap


def make_test(seed: int, slower: float = 1.0, shift_s: float = 0.0, num: int = 1200) -> list[LoadSample]:
    generator = np.random.default_rng(seed)
    at_s = np.cumsum(generator.exponential(0.1, num)) + shift_s
    waits = (generator.exponential(0.2, num) + 0.1) * slower
    return [
        LoadSample(
            id=f"0-{number}",
            load=0,
            rate=10.0,
            scheduled_s=at,
            sent_s=at,
            first_token_s=at + wait,
            ended_s=at + wait + 1,
            prompt_index=number % 7,
        )
        for number, (at, wait) in enumerate(zip(at_s.tolist(), waits.tolist(), strict=True))
    ]


def test_the_same_schedule_is_compared_request_by_request() -> None:
    found = compare_tests(make_test(1), make_test(1, slower=1.1, shift_s=50), Bootstrap(200))
    assert [(one.latency, one.quantile) for one in found] == [
        (latency, quantile) for latency in ("ttft", "e2e") for quantile in (0.5, 0.95, 0.99)
    ]
    assert {one.is_paired for one in found} == {True}
    assert {one.verdict for one in found} == {"slower"}
    p99 = found[2]
    assert p99.difference.value == pytest.approx(p99.candidate.value - p99.base.value)
    assert p99.difference.value == pytest.approx(0.1 * p99.base.value)


def test_another_schedule_is_compared_as_a_whole() -> None:
    found = compare_tests(make_test(1), make_test(2), Bootstrap(200))
    assert {one.is_paired for one in found} == {False}
    assert {one.verdict for one in found} == {"unclear"}


def test_requests_that_failed_in_one_test_count_in_neither() -> None:
    candidate = make_test(1, slower=1.1)
    candidate[0] = candidate[0].model_copy(update={"error": "lost", "first_token_s": None, "ended_s": 999.0})
    candidate[1] = candidate[1].model_copy(update={"phase": "measured", "ended_s": candidate[1].ended_s})
    found = compare_tests(make_test(1), candidate, Bootstrap(100))
    assert {one.is_paired for one in found} == {True}
    assert max(one.candidate.value for one in found) < 10


def test_tests_without_a_common_rate_have_nothing_to_compare() -> None:
    other = [one.model_copy(update={"rate": 3.0}) for one in make_test(1)]
    assert compare_tests(make_test(1), other, Bootstrap(10)) == []
    assert compare_tests([], make_test(1), Bootstrap(10)) == []


@pytest.mark.parametrize("change", [{"prompt_index": 99}, {"scheduled_s": 0.5}, {"phase": "warmup"}])
def test_one_other_request_makes_another_schedule(change: dict) -> None:
    changed = make_test(1)
    changed[5] = changed[5].model_copy(update=change)
    assert has_same_schedule(make_test(1), make_test(1, slower=2))
    assert not has_same_schedule(make_test(1), changed)
    assert not has_same_schedule(make_test(1), make_test(1)[:-1])


def test_samples_are_read_back_and_other_files_are_refused(tmp_path) -> None:
    path = tmp_path / "samples.jsonl"
    path.write_text("".join(f"{one.model_dump_json()}\n" for one in make_test(1, num=3)))
    assert read_samples("latest:serving/samples", path) == make_test(1, num=3)
    path.write_text('{"id": "1"}\n')
    with pytest.raises(DataError, match="latest:serving/samples"):
        read_samples("latest:serving/samples", path)
    with pytest.raises(DataError):
        read_samples("latest:serving/samples", tmp_path)
