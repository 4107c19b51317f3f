"""The tests' own engine: its queue, batch and KV cache follow vLLM's rules, and load makes it slower."""

from __future__ import annotations

import asyncio
import time

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families

from fake_engine import FakeEngine, read_arguments, serve_engine
from fake_scheduler import Job, Scheduler, Settings

USUAL_LABELS = ("model_name", "engine")
HELLO = {"model": "fake", "messages": [{"role": "user", "content": "hello"}]}


def run_to_the_end(scheduler, limit=10_000):
    """Compute until nothing is left; return the steps."""
    steps = []
    while (step := scheduler.plan_step()) is not None:
        for job in scheduler.finish_step(step):
            if job.num_tokens >= job.max_tokens:
                scheduler.remove(job)
        steps.append(step)
        assert len(steps) < limit
    return steps


def test_a_batch_has_so_many_places_and_the_rest_waits_in_order():
    scheduler = Scheduler(Settings(max_running=2))
    scheduler.waiting += [Job(4, max_tokens) for max_tokens in (1, 3, 3)]
    first, second, third = scheduler.waiting
    scheduler.finish_step(scheduler.plan_step())
    assert (scheduler.running, scheduler.waiting) == ([first, second], [third])
    scheduler.remove(first)
    step = scheduler.plan_step()
    assert dict(step.tokens) == {second: 1, third: 4}
    assert step.num_prefill_tokens == 4


def test_a_long_prompt_is_computed_in_chunks_beside_the_others():
    scheduler = Scheduler(Settings(max_step_tokens=8, step_s=0.0, prefill_s_per_token=1.0, step_s_per_request=0.5))
    short, long = Job(2, 4), Job(20, 1)
    scheduler.waiting += [short, long]
    steps = run_to_the_end(scheduler)
    assert [step.tokens.get(long) for step in steps] == [6, 7, 7, None]
    assert [step.duration_s for step in steps] == [9.0, 8.0, 8.0, 0.5]
    assert (short.num_tokens, long.num_tokens) == (4, 1)


def test_a_full_cache_preempts_the_request_that_started_last():
    scheduler = Scheduler(Settings(kv_tokens=64, block_tokens=16))
    first, second = Job(20, 40), Job(20, 40)
    scheduler.waiting += [first, second]
    steps = run_to_the_end(scheduler)
    assert (first.num_tokens, first.num_preemptions) == (40, 0)
    assert (second.num_tokens, second.num_preemptions) == (40, 1)
    assert sum(step.num_preempted for step in steps) == 1
    # The preempted one is computed again from its start, with what it had generated.
    [again] = [step.tokens[second] for step in steps[1:] if step.num_prefill_tokens]
    assert again == 20 + 13


def test_a_prompt_waits_until_all_of_it_fits():
    scheduler = Scheduler(Settings(kv_tokens=64, block_tokens=16))
    first, second = Job(30, 2), Job(40, 2)
    scheduler.waiting += [first, second]
    scheduler.finish_step(scheduler.plan_step())
    assert (scheduler.running, scheduler.waiting) == ([first], [second])
    run_to_the_end(scheduler)
    assert second.num_tokens == 2


def test_known_blocks_of_a_prompt_cost_nothing():
    scheduler = Scheduler(Settings(has_prefix_cache=True))
    for expected in (40, 40 - 32):
        job = Job(40, 1, prefix=(1, 2))
        scheduler.waiting.append(job)
        assert run_to_the_end(scheduler)[0].num_prefill_tokens == expected


async def read_metrics(session, url):
    async with session.get(f"{url}/metrics") as page:
        families = text_string_to_metric_families(await page.text())
        return {
            (one.name, "".join(value for name, value in one.labels.items() if name not in USUAL_LABELS)): one.value
            for family in families
            for one in family.samples
        }


def on_engine(settings, test):
    async def run():
        engine = FakeEngine(settings)
        async with serve_engine(engine) as url, aiohttp.ClientSession() as session:
            return await test(engine, url, session)

    return asyncio.run(run())


async def ask(session, url, **body):
    async with session.post(f"{url}/v1/chat/completions", json={**HELLO, **body}) as answer:
        return answer.status, await answer.read()


def test_load_makes_answers_slower():
    """Eight at a time take longer each than one alone, and less than eight one after another."""

    async def test(_, url, session):
        spent_s = []
        for number in (1, 8):
            started_s = time.monotonic()
            await asyncio.gather(*[ask(session, url, max_tokens=20) for _ in range(number)])
            spent_s.append(time.monotonic() - started_s)
        return spent_s

    alone_s, together_s = on_engine(Settings(step_s=0.004, step_s_per_request=0.002), test)
    assert alone_s >= 0.12
    assert 0.4 <= together_s < 8 * alone_s


def test_metrics_have_vllms_names_and_count_what_happened():
    async def test(_, url, session):
        asked = [asyncio.create_task(ask(session, url, max_tokens=50)) for _ in range(3)]
        await asyncio.sleep(0.1)
        during = await read_metrics(session, url)
        asked[2].cancel()
        await asyncio.gather(*asked, return_exceptions=True)
        await asyncio.sleep(0.05)
        return during, await read_metrics(session, url)

    during, after = on_engine(Settings(step_s=0.01, max_running=2, kv_tokens=160), test)
    assert during["vllm:num_requests_running", ""] == 2
    assert during["vllm:num_requests_waiting", ""] == during["vllm:num_requests_waiting_by_reason", "capacity"] == 1
    assert 0 < during["vllm:kv_cache_usage_perc", ""] <= 1
    assert after["vllm:kv_cache_usage_perc", ""] == 0
    assert after["vllm:request_success_total", "length"] == 2
    assert after["vllm:request_success_total", "abort"] == 1
    assert after["vllm:generation_tokens_total", ""] == 100
    assert after["vllm:time_to_first_token_seconds_count", ""] == 2
    assert after["vllm:inter_token_latency_seconds_count", ""] == 98
    assert after["vllm:inter_token_latency_seconds_sum", ""] >= 0.9
    assert after["vllm:num_preemptions_total", ""] == 0


@pytest.mark.parametrize("is_streamed", [True, False])
@pytest.mark.parametrize("fault", ["cut", "reset"])
def test_faults_break_answers_off(fault, is_streamed):
    async def test(engine, url, session):
        with pytest.raises(aiohttp.ClientError):
            await ask(session, url, stream=is_streamed, max_tokens=8, fault=fault)
        assert not engine.running
        assert (await ask(session, url, max_tokens=8))[0] == 200

    on_engine(Settings(), test)


@pytest.mark.parametrize(("fault", "text"), [("malformed", b'"delta"\n\n'), ("error-event", b"engine is dead")])
def test_faults_spoil_a_stream(fault, text):
    async def test(_, url, session):
        status, answer = await ask(session, url, stream=True, max_tokens=8, fault=fault)
        assert (status, text in answer, b"t3 " in answer) == (200, True, True)
        assert (b"t8 " in answer) == (fault == "malformed")

    on_engine(Settings(), test)


def test_faults_and_settings_change_while_it_runs():
    async def test(engine, url, session):
        await session.post(f"{url}/fake/fault", json={"fault": "broken", "share": 0.5})
        statuses = [(await ask(session, url, max_tokens=1))[0] for _ in range(40)]
        await session.post(f"{url}/fake/fault", json={})
        await session.post(f"{url}/fake/settings", json={"max_waiting": 0, "api_key": "secret"})
        refused = await ask(session, url, max_tokens=1)
        session.headers["Authorization"] = "Bearer secret"
        rejected = await ask(session, url, max_tokens=1)
        assert (await read_metrics(session, url))["vllm:admission_rejections_total", "max_num_queued_reqs"] == 1
        wrong = await session.post(f"{url}/fake/settings", json={"steps": 1})
        return statuses, refused[0], rejected[0], wrong.status, engine.settings.max_waiting

    statuses, *others = on_engine(Settings(), test)
    assert 8 < statuses.count(500) < 32
    assert others == [401, 503, 400, 0]


def test_its_command_line_has_every_setting():
    port, settings = read_arguments(["8000", "0.5", "--max-running", "3", "--max-waiting", "4", "--api-key", "k"])
    assert (port, settings) == (8000, Settings(step_s=0.5, max_running=3, max_waiting=4, api_key="k"))
