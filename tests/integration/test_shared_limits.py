"""Limits that two gateways hold together in a real Redis, also while it is away and after it came back."""

from __future__ import annotations

import asyncio
import collections
import contextlib
import random
import time

import aiohttp
import openai
import pytest

from fake_engine import MODEL
from gateway_stand import HELLO, build_stand
from limit_race import LIMIT, MINUTE_S, START_S, assert_exact, build_caller, race
from manual_clock import ManualClock
from practicum_core.api_keys import KeyLimits
from practicum_gateway.admission import LocalAdmission, SharedAdmission
from practicum_gateway.limits import Denial, Grant, divide_limits
from redis_server import serve_redis


@pytest.fixture(scope="module")
def redis():
    with serve_redis() as server:
        yield server


@contextlib.asynccontextmanager
async def build_pair(redis, key, clock, lease_s=15.0, **limits):
    """Build two gateways' admissions, each with its caller of one key."""
    whole = KeyLimits(**limits)
    pair = []
    async with contextlib.AsyncExitStack() as stack:
        for _ in range(2):
            admission = SharedAdmission(redis.url, "", clock, clock, lease_s)
            caller = build_caller(whole, clock, divide_limits(whole, 2), key)
            await admission.start()
            stack.push_async_callback(admission.close)
            pair.append((admission, caller))
        yield pair


async def admit(gateway, tokens):
    admission, caller = gateway
    verdict, headers = await admission.admit(caller, tokens)
    return verdict, {name.decode(): value.decode() for name, value in headers}


async def settle(gateway, grant, used):
    grant.settle(used)
    await gateway[0].flush()


async def wait_until_shared(*gateways):
    async with asyncio.timeout(10):
        while not all(admission.is_shared for admission, _ in gateways):  # noqa: ASYNC110 - nothing else tells it
            await asyncio.sleep(0.05)


def test_64_clients_of_two_gateways_never_pass_the_limit_and_use_it(redis):
    async def run():
        clock = ManualClock(START_S)
        async with build_pair(redis, "raced", clock, tokens_per_minute=LIMIT) as pair:
            found = await race(pair, clock, seed=1)
            assert all(admission.is_shared for admission, _ in pair), "Redis held them"
            return found

    assert_exact(asyncio.run(run()))


def test_each_gateway_sees_what_the_other_let_in(redis):
    async def run():
        clock = ManualClock(START_S)
        limits = {"tokens_per_minute": 100, "requests_per_minute": 4, "concurrent_requests": 2}
        async with build_pair(redis, "seen", clock, **limits) as (one, two):
            first, headers = await admit(one, 60)
            assert (headers["x-ratelimit-remaining-tokens"], headers["x-ratelimit-remaining-requests"]) == ("40", "3")
            assert (await admit(two, 41))[0].retry_after_s == 1.0, "it depends on a request that is open"
            second, _ = await admit(two, 40)
            assert (await admit(one, 0))[0].code == "concurrency_limit_exceeded"
            await settle(one, first, 10)
            await settle(two, second, 40)
            clock.now_s += 10
            third, _ = await admit(two, 50)
            await settle(two, third, 50)
            denial, headers = await admit(one, 20)
            assert headers["x-ratelimit-remaining-tokens"] == "0"
            assert denial.retry_after_s == pytest.approx(50.1)
            await settle(one, (await admit(one, 0))[0], 0)
            assert "requests a minute" in (await admit(two, 0))[0].message
            assert (await admit(two, 101))[0].retry_after_s == pytest.approx(50.1)
            clock.now_s += 50.1
            assert isinstance((await admit(one, 50))[0], Grant)
            assert (await admit(two, 101))[0].retry_after_s is None

    asyncio.run(run())


@pytest.mark.parametrize("seed", range(3))
def test_the_script_decides_as_the_process_does(redis, seed):
    async def run():
        rng, clock = random.Random(seed), ManualClock(START_S + 0.03)
        limits = {"tokens_per_minute": 500, "requests_per_minute": 40, "concurrent_requests": 6}
        async with build_pair(redis, f"alike-{seed}", clock, lease_s=10**6, **limits) as pair:
            alone = (LocalAdmission(), build_caller(KeyLimits(**limits), clock))
            open_requests, kinds = [], collections.Counter()
            for _ in range(600):
                clock.now_s += rng.choice((0, 0.1, 0.4, 3.0))
                if open_requests and rng.random() < 0.5:
                    gateway, shared, local = open_requests.pop(rng.randrange(len(open_requests)))
                    used = rng.choice((None, 0, rng.randrange(shared.reserved + 1)))
                    await settle(gateway, shared, used)
                    local.settle(used)
                    continue
                tokens, gateway = rng.choice((0, 5, 60, 200, 501)), rng.choice(pair)
                (shared, shared_headers), (local, local_headers) = (
                    await admit(gateway, tokens),
                    await admit(alone, tokens),
                )
                assert shared_headers == local_headers
                assert type(shared) is type(local)
                kinds[getattr(shared, "code", "granted")] += 1
                if isinstance(shared, Grant):
                    open_requests.append((gateway, shared, local))
                    continue
                assert (shared.code, shared.message) == (local.code, local.message)
                assert shared.retry_after_s == pytest.approx(local.retry_after_s, abs=0.002)
            assert len(kinds) == 4, kinds

    asyncio.run(run())


def test_what_a_killed_gateway_held_is_charged_when_its_lease_ends(redis):
    async def run():
        clock = ManualClock(START_S)
        limits = {"tokens_per_minute": 100, "concurrent_requests": 2}
        async with build_pair(redis, "killed", clock, lease_s=3.0, **limits) as (one, two):
            lost, _ = await admit(one, 70)
            kept, _ = await admit(two, 10)
            clock.now_s += 2.0
            await two[0]._renew()
            clock.now_s += 2.0
            # The first one is taken for dead: what it held counts as used, its place is free, and its word is too late.
            again, headers = await admit(two, 20)
            assert (isinstance(again, Grant), headers["x-ratelimit-remaining-tokens"]) == (True, "0")
            await settle(one, lost, 0)
            assert isinstance((await admit(one, 1))[0], Denial)
            await settle(two, kept, 10)
            clock.now_s += MINUTE_S
            assert (await admit(two, 80))[1]["x-ratelimit-remaining-tokens"] == "0"

    asyncio.run(run())


def test_while_redis_is_away_each_gateway_allows_its_share(redis):
    async def run():
        clock = ManualClock(START_S)
        async with build_pair(redis, "away", clock, tokens_per_minute=100) as (one, two):
            first, _ = await admit(one, 40)
            redis.stop()
            try:
                await settle(one, first, 40)
                began_s = time.monotonic()
                denial, headers = await admit(one, 11)
                assert isinstance(denial, Denial), "its own 40 count against its share of 50"
                assert headers["x-practicum-limits"] == "share"
                assert isinstance((await admit(two, 50))[0], Grant)
                assert (await admit(two, 60))[0].retry_after_s is not None, "below the limit, above the share"
                assert (await admit(two, 101))[0].retry_after_s is None
                assert time.monotonic() - began_s < 1.9, "nothing waits for a time-out of two seconds"
                assert [admission.num_losses for admission, _ in (one, two)] == [1, 1]
            finally:
                redis.start()
            await wait_until_shared(one, two)
            # Redis is empty. What passed without it still counts here, until a minute after it ended.
            denial, headers = await admit(one, 11)
            assert isinstance(denial, Denial)
            fits, headers = await admit(one, 10)
            assert "x-practicum-limits" not in headers
            await settle(one, fits, 10)
            clock.now_s += MINUTE_S + 0.2
            assert (await admit(one, 90))[1]["x-ratelimit-remaining-tokens"] == "10"
            assert isinstance((await admit(two, 11))[0], Denial)

    asyncio.run(run())


def test_a_redis_that_hangs_is_waited_for_once(redis):
    async def run():
        async with build_pair(redis, "hung", time.monotonic, lease_s=3.0, tokens_per_minute=100) as (one, two):
            await settle(one, (await admit(one, 10))[0], 10)
            redis.pause()
            try:
                began_s = time.monotonic()
                for tokens in (20, 10):
                    grant, headers = await admit(one, tokens)
                    assert headers["x-practicum-limits"] == "share"
                    await settle(one, grant, tokens)
                assert 1.5 < time.monotonic() - began_s < 3.9, "one time-out of two seconds, not two"
                assert isinstance((await admit(one, 11))[0], Denial)
            finally:
                redis.resume()
            await wait_until_shared(one)
            # What was asked while it hung is done now; nobody knows of it, so it is charged when its lease is over.
            await asyncio.sleep(3.2)
            assert int((await admit(two, 0))[1]["x-ratelimit-remaining-tokens"]) == 100 - 10 - 20

    asyncio.run(run())


def test_a_gateway_starts_without_redis(redis):
    async def run():
        redis.stop()
        try:
            async with build_pair(redis, "late", time.monotonic, tokens_per_minute=100) as (one, _):
                assert (await admit(one, 40))[1]["x-practicum-limits"] == "share"
        finally:
            redis.start()

    asyncio.run(run())


async def ask(stand, secret, max_tokens):
    create = stand.client(secret).chat.completions.with_raw_response.create
    return await create(model=MODEL, messages=HELLO, max_tokens=max_tokens)


def test_two_gateways_hold_one_limit_and_say_when_they_cannot(redis, tmp_path):
    async def run():
        options = {"limits": {"tokens_per_minute": 1200}, "redis_url": redis.url, "num_replicas": 2}
        # One file of keys.
        async with build_stand(tmp_path, **options) as one, build_stand(tmp_path, **options) as two:
            assert (await ask(one, one.secret, 700)).headers["x-ratelimit-limit-tokens"] == "1200"
            with pytest.raises(openai.RateLimitError) as refused:
                await ask(two, one.secret, 500)
            assert int(refused.value.response.headers["x-ratelimit-remaining-tokens"]) < 500
            redis.stop()
            try:
                with pytest.raises(openai.RateLimitError, match="of 600 a minute are left"):
                    await ask(one, one.secret, 40)
                answer = await ask(two, one.secret, 40)
                assert answer.headers["x-practicum-limits"] == "share"
                assert answer.headers["x-ratelimit-limit-tokens"] == "600"
                async with aiohttp.ClientSession() as session, session.get(two.url + "/metrics") as page:
                    text = await page.text()
                assert "practicum_gateway_limits_shared 0.0" in text
                assert "practicum_gateway_redis_losses_total 1.0" in text
            finally:
                redis.start()

    asyncio.run(run())
