"""Schedules: a seed decides them, the rate and the burstiness are as asked, and a saved one is read as it was."""

from __future__ import annotations

import json

import numpy as np
import pytest

from practicum_core.errors import ConfigError, DataError
from practicum_core.stages.loadtest import LoadtestConfig
from practicum_jobs.load.arrivals import draw_arrivals
from practicum_jobs.load.schedule import Plan, read_schedule


def build_plan(**options):
    return Plan.build(LoadtestConfig(**{"rate_s": 60, "warmup_s": 0, **options}), [], None)


def draw(shape, rate=50.0, duration_s=400.0, seed=0):
    return draw_arrivals(shape, rate, duration_s, np.random.default_rng(seed))


@pytest.mark.parametrize(
    ("shape", "spread"), [(None, 0.0), (1.0, 1.0), (0.25, 2.0)], ids=["constant", "poisson", "gamma"]
)
def test_arrivals_have_the_rate_and_the_spread_that_were_asked(shape, spread):
    times = draw(shape)
    gaps = np.diff(times)
    assert len(times) == 50 * 400
    # The coefficient of variation of a gamma distribution is 1 / sqrt(shape).
    assert gaps.std() / gaps.mean() == pytest.approx(spread, abs=0.1)
    assert (gaps >= 0).all()
    assert times[-1] < 400


@pytest.mark.parametrize("seed", range(20))
def test_a_short_test_sends_the_rate_that_was_asked(seed):
    times = draw(1.0, rate=1.0, duration_s=24.0, seed=seed)
    assert len(times) == 24
    assert (np.diff(times) > 0).all()
    assert 0 < times[0] < times[-1] < 24
    assert len(draw(0.25, rate=0.01, duration_s=1.0, seed=seed)) == 1


def test_bursts_put_more_requests_into_one_second():
    most = {shape: np.histogram(draw(shape), bins=400)[0].max() for shape in (None, 1.0, 0.1)}
    assert most[None] < most[1.0] < most[0.1]


@pytest.mark.parametrize("load", ["constant", "poisson", "gamma"])
def test_the_seed_decides_the_schedule(load):
    one, same, other = (build_plan(load=load, seed=seed, prompt_spread=0.5) for seed in (1, 1, 2))
    for plan in (one, same, other):
        plan.add_rate(5.0)
        plan.add_rate(10.0)
    assert (one.steps, one.prompts) == (same.steps, same.prompts)
    assert one.prompts != other.prompts
    assert (one.steps == other.steps) == (load == "constant")


def test_prompts_have_the_length_that_was_asked():
    lengths = [
        prompt.num_words for prompt in build_plan(prompt_tokens=100, prompt_spread=0.5, num_prompts=4000).prompts
    ]
    assert np.mean(lengths) == pytest.approx(100, rel=0.05)
    assert np.std(np.log(lengths)) == pytest.approx(0.5, rel=0.05)
    [prompt] = build_plan(prompt_tokens=7, num_prompts=1).prompts
    assert len(prompt.text.split()) == 7


def test_prompts_go_on_from_rate_to_rate():
    plan = build_plan(load="constant", rate_s=3, num_prompts=5)
    assert [plan.add_rate(rate).prompts for rate in (1.0, 2.0)] == [[0, 1, 2], [3, 4, 0, 1, 2, 3]]


def test_a_saved_schedule_is_read_as_it_was(tmp_path):
    plan = build_plan(load="gamma", prompt_spread=1.0)
    plan.add_rate(4.0)
    hashes = plan.save(tmp_path)
    again = Plan.read(LoadtestConfig(seed=99), tmp_path)
    assert again.is_replay
    assert again.steps == plan.steps
    assert [one.messages for one in again.prompts] == [one.messages for one in plan.prompts]
    assert again.save(tmp_path / "again") == hashes


@pytest.mark.parametrize(
    ("name", "change", "said"),
    [
        ("schedule.json", lambda text: "", "schedule.json"),
        ("schedule.json", lambda text: text.replace("poisson", "fancy"), "load"),
        ("schedule.json", lambda text: text.replace('"prompts":[0,', '"prompts":[99999,'), "prompts that are not"),
        ("schedule.json", lambda text: text.replace('"max_tokens":[32,', '"max_tokens":[0,'), "1 or more"),
        ("schedule.json", lambda text: text.replace('"max_tokens":[32,', '"max_tokens":['), "lengths"),
        ("prompts.jsonl", lambda text: '{"role": "user"}\n', "no list of messages"),
        ("prompts.jsonl", lambda text: "[[[\n", "prompts.jsonl|Expecting"),
    ],
)
def test_a_broken_schedule_is_refused(tmp_path, name, change, said):
    plan = build_plan(num_prompts=3)
    plan.add_rate(4.0)
    plan.save(tmp_path)
    path = tmp_path / name
    path.write_text(change(path.read_text()))
    with pytest.raises(DataError, match=said):
        read_schedule(tmp_path)
    path.unlink()
    with pytest.raises(DataError, match=name):
        read_schedule(tmp_path)


def write_trace(path, *lines):
    path.write_text("".join(f"{line if isinstance(line, str) else json.dumps(line)}\n" for line in lines))
    return path


def test_a_trace_is_stretched_to_the_rate_and_keeps_its_sizes(tmp_path):
    path = write_trace(
        tmp_path / "trace.jsonl",
        {"at_s": 10.0, "prompt_tokens": 3},
        {"at_s": 10.5, "max_tokens": 9},
        {"at_s": 13.0, "prompt_tokens": 40, "max_tokens": 2},
    )
    config = LoadtestConfig(load="trace", trace=str(path), warmup_s=0, rate_s=30, num_prompts=4)
    step = Plan.build(config, [], path).add_rate(2.0)
    assert len(step.at_s) == pytest.approx(60, abs=3)
    gaps = np.diff(step.at_s)[:2]
    assert gaps[1] / gaps[0] == pytest.approx(5, rel=1e-4)
    assert step.max_tokens[:4] == [32, 9, 2, 32]
    assert step.prompts[0] == 4, "a prompt of its own length"
    assert step.prompts[1] == 1, "the next of the others"


@pytest.mark.parametrize("line", ["{}", "[]", "x", {"at_s": -1}, {"at_s": 1, "max_tokens": 0}, '{"at_s": NaN}'])
def test_a_line_that_is_none_of_a_trace_is_named(tmp_path, line):
    path = write_trace(tmp_path / "trace.jsonl", {"at_s": 1}, line)
    with pytest.raises(DataError, match="line 2"):
        Plan.build(LoadtestConfig(load="trace", trace="t"), [], path)


def test_a_rate_that_gives_no_request_is_refused():
    with pytest.raises(ConfigError, match="none falls"):
        build_plan(load="constant", rate_s=1, warmup_s=1).add_rate(0.5)
    with pytest.raises(ConfigError, match="5,000,000"):
        build_plan(rate_s=86_400).add_rate(100_000.0)
