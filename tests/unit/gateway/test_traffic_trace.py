"""The gateway's trace of the traffic: a line for each request, none with content, and bodies only for its own run."""

from __future__ import annotations

import asyncio
import itertools
import json
import stat
import time
from types import SimpleNamespace

import httpx
import openai
import pytest

from fake_engine import Settings
from gateway_stand import build_stand
from manual_clock import ManualClock
from practicum_core.rungs import Rung
from practicum_core.stages.gateway import GatewayConfig
from practicum_core.traffic import TRAFFIC, TRAFFIC_KEY, TRAFFIC_PATH, TraceRequest, hash_in_trace
from practicum_gateway import traffic_trace
from practicum_gateway.exchange import Exchange
from practicum_gateway.traffic_trace import TrafficTrace, _encode, _Kept
from practicum_jobs.load.recording import parse_trace, read_trace_file

PROMPT = "the prompt that nobody shall read in a file"
MESSAGES = [{"role": "user", "content": PROMPT}]
KEY = "the-key-of-the-run"


@pytest.fixture
def own_key(monkeypatch):
    monkeypatch.setenv("PRACTICUM_SERVER_KEY", KEY)
    return {"Authorization": f"Bearer {KEY}"}


async def fetch(stand, headers, since=0.0):
    async with httpx.AsyncClient(trust_env=False) as client:
        return await client.get(f"{stand.url}{TRAFFIC_PATH}", params={"since": since}, headers=headers)


def test_each_request_has_a_line_with_sizes_and_times_and_without_its_content(tmp_path, own_key):
    async def run():
        options = {"ladder": True, "knowledge": "builtin:tickets", "traffic": True}
        async with build_stand(tmp_path, **options) as stand:
            chat = stand.client().chat.completions
            await chat.create(model="fake", messages=MESSAGES, max_tokens=3)
            async for _ in await chat.create(model="fake", messages=MESSAGES, max_tokens=5, stream=True):
                pass
            stand.gateway.degradation.ladder.pin(Rung.EXTRACT)
            await chat.create(model="fake", messages=[{"role": "user", "content": "How long does a refund take?"}])
            with pytest.raises(openai.AuthenticationError):
                await stand.client("sk-practicum-wrong").chat.completions.create(model="fake", messages=MESSAGES)
            answer = await fetch(stand, own_key)
            return stand.key_id, answer.content

    key_id, fetched = asyncio.run(run())
    path = tmp_path / TRAFFIC
    trace = read_trace_file(path)
    whole, streamed, extract, refused = trace.requests
    assert (whole.status, whole.max_tokens, whole.completion_tokens, whole.is_streamed) == (200, 3, 3, False)
    assert streamed.is_streamed
    assert 0 < streamed.first_byte_s <= streamed.total_s
    assert streamed.prompt_hash == whole.prompt_hash != extract.prompt_hash
    assert whole.prompt_chars == len(json.dumps(MESSAGES, separators=(",", ":")))
    assert (extract.rung, extract.outcome) == ("extract", "degraded")
    assert (refused.status, refused.prompt_hash, refused.key) == (401, "", "")
    assert [(one.before, one.after, one.reason) for one in trace.events] == [("full", "extract", "manual")]
    assert whole.key == streamed.key != ""
    for text in (PROMPT, "refund", key_id):
        assert text not in path.read_text()
        assert text.encode() not in fetched
    # Who has the file alone cannot try guesses; a step of the own run can.
    hash_key = parse_trace(fetched, "it").header.hash_key
    assert (
        hash_in_trace(json.dumps(MESSAGES, separators=(",", ":")).encode(), bytes.fromhex(hash_key))
        == whole.prompt_hash
    )
    assert hash_key not in path.read_text()
    assert not path.with_name(TRAFFIC_KEY).exists()


def test_where_no_step_can_fetch_the_key_of_the_hashes_lies_beside_the_trace_while_the_gateway_runs(
    tmp_path, monkeypatch
):
    monkeypatch.delenv("PRACTICUM_SERVER_KEY", raising=False)
    path = tmp_path / TRAFFIC_KEY

    async def run():
        async with build_stand(tmp_path, traffic=True):
            return path.read_text(), stat.S_IMODE(path.stat().st_mode)

    first, mode = asyncio.run(run())
    assert mode == 0o600
    assert not path.exists()
    assert asyncio.run(run())[0] != first
    path.write_text(first)  # left by one that was killed
    assert asyncio.run(run())[0] == first
    for part in ("", first[:6]):
        path.write_text(part)  # left by one that was killed while it wrote
        assert len(asyncio.run(run())[0]) == len(first)


def test_a_trace_whose_gateway_was_killed_within_a_line_is_continued_and_can_be_read(tmp_path, own_key):
    path = tmp_path / TRAFFIC
    pool = SimpleNamespace(upstreams=[])
    for number in range(3):
        trace = TrafficTrace(path, ManualClock(), pool, lambda _: [], keeps_bodies=False, key=KEY)
        trace.open()
        trace._keep(TraceRequest(at_s=number, path="/", status=200, total_s=1), b"")
        trace.close()
        with path.open("ab") as file:
            file.write(b'{"kind": "requ')
    trace.open()
    trace.close()
    assert len(read_trace_file(path).requests) == 3


def test_bodies_are_for_steps_of_the_own_run_and_stay_out_of_the_file(tmp_path, own_key):
    async def run():
        async with build_stand(tmp_path, traffic=True, traffic_bodies=True) as stand:
            chat = stand.client().chat.completions
            await chat.create(model="fake", messages=MESSAGES, max_tokens=1)
            later_s = time.time()
            await stand.client().completions.create(model="fake", prompt="and this one", max_tokens=1)
            refused = [await fetch(stand, headers) for headers in ({}, {"Authorization": f"Bearer {stand.secret}"})]
            everything, last = await fetch(stand, own_key), await fetch(stand, own_key, later_s)
            bad = await fetch(stand, own_key, "yesterday")
            return refused, everything, last, bad

    refused, everything, last, bad = asyncio.run(run())
    assert [one.status_code for one in refused] == [401, 401]
    assert all(PROMPT not in one.text for one in refused)
    assert [one.prompt for one in parse_trace(everything.content, "it").requests] == [MESSAGES, "and this one"]
    assert [one.prompt for one in parse_trace(last.content, "it").requests] == ["and this one"]
    assert bad.status_code == 400
    assert PROMPT not in (tmp_path / TRAFFIC).read_text()


def test_without_a_key_of_the_run_nobody_fetches_and_without_the_option_nothing_is_there(tmp_path, monkeypatch):
    monkeypatch.delenv("PRACTICUM_SERVER_KEY", raising=False)

    async def run(**options):
        async with build_stand(tmp_path, **options) as stand:
            await stand.client().chat.completions.create(model="fake", messages=MESSAGES, max_tokens=1)
            return (await fetch(stand, {"Authorization": "Bearer -"})).status_code

    assert asyncio.run(run()) == 404
    assert not (tmp_path / TRAFFIC).exists()
    assert asyncio.run(run(traffic=True)) == 401
    with pytest.raises(ValueError, match="traffic=true"):
        GatewayConfig(traffic_bodies=True)


def test_a_full_disk_costs_lines_and_nothing_else(tmp_path, own_key):
    (tmp_path / TRAFFIC).symlink_to("/dev/full")

    async def run():
        async with build_stand(tmp_path, traffic=True) as stand:
            for _ in range(2):
                await stand.client().chat.completions.create(model="fake", messages=MESSAGES, max_tokens=1)
            return parse_trace((await fetch(stand, own_key)).content, "it")

    assert [one.status for one in asyncio.run(run()).requests] == [200, 200]


def test_a_breaker_that_opens_and_closes_is_an_event_and_a_second_start_goes_on(tmp_path, own_key):
    async def run():
        options = {"breaker_min_requests": 2, "breaker_open_s": 0.2, "traffic": True, "retry_share": 0.0}
        async with build_stand(tmp_path, Settings(step_s=0.001), **options) as stand:
            upstream = stand.gateway.pool.upstreams[0]
            client = stand.client()
            await client.chat.completions.create(model="fake", messages=MESSAGES, max_tokens=1)
            upstream.breaker._open(0.2)
            await asyncio.sleep(0.5)
            for _ in range(3):
                await client.chat.completions.create(model="fake", messages=MESSAGES, max_tokens=1)
            await asyncio.sleep(0.3)

    asyncio.run(run())
    first = read_trace_file(tmp_path / TRAFFIC)
    assert [(one.what, one.subject, one.before, one.after) for one in first.events] == [
        ("breaker", "engine-0", "closed", "open"),
        ("breaker", "engine-0", "open", "closed"),
    ]
    asyncio.run(run())
    again = read_trace_file(tmp_path / TRAFFIC)
    assert len(again.requests) == 2 * len(first.requests)
    assert again.requests[4].at_s > first.requests[3].at_s


class Told(Exchange):
    """A request whose answer stays here."""

    def __init__(self, path, headers=(), query=b""):
        super().__init__({"method": "POST", "path": path, "headers": headers, "query_string": query}, None, self.take)
        self.pieces = []

    async def take(self, message):
        self.pieces.append(message.get("body", b""))


@pytest.fixture
def quiet_trace(tmp_path, monkeypatch):
    """A trace on a clock and a time of day that the test moves, without engines."""
    day = ManualClock(1000.0)
    monkeypatch.setattr(traffic_trace.time, "time", day)
    clock = ManualClock(50.0)
    trace = TrafficTrace(
        tmp_path / TRAFFIC, clock, SimpleNamespace(upstreams=[]), lambda _: [], keeps_bodies=False, key=KEY
    )
    trace.open()
    return trace, clock, day


def note(trace, clock, key="0a1b2c3d", status=200):
    exchange = Told("/v1/completions")
    exchange.facts = {"key": key} if key else {}
    trace.note(exchange, status, clock.now_s)


def fetch_quiet(trace, since):
    exchange = Told(TRAFFIC_PATH, [(b"authorization", f"Bearer {KEY}".encode())], b"since=%f" % since)
    asyncio.run(trace.answer(exchange))
    return parse_trace(b"".join(exchange.pieces), "it")


def test_other_requests_have_their_turn_while_many_lines_are_fetched(quiet_trace):
    trace, clock, _ = quiet_trace
    for _ in range(3000):
        note(trace, clock)
    exchange = Told(TRAFFIC_PATH, [(b"authorization", f"Bearer {KEY}".encode())])

    async def run():
        answering, num_turns = asyncio.create_task(trace.answer(exchange)), 0
        while not answering.done():
            await asyncio.sleep(0)
            num_turns += 1
        return num_turns

    num_turns = asyncio.run(run())
    trace.close()
    assert len(parse_trace(b"".join(exchange.pieces), "it").requests) == 3000
    assert num_turns >= len(exchange.pieces) - 1 >= 5
    assert max(map(len, exchange.pieces)) < 2 * traffic_trace._PIECE_BYTES


def test_a_clock_that_is_set_or_drifts_moves_what_is_written_and_what_is_fetched(quiet_trace, tmp_path):
    trace, clock, day = quiet_trace
    note(trace, clock)
    for one in (clock, day):
        one.now_s += 10
    day.now_s += 3600
    trace._follow()
    note(trace, clock)
    clock.now_s += 1
    day.now_s += 1.05
    trace._follow()
    note(trace, clock)
    fetched = fetch_quiet(trace, day.now_s - 11.01)
    trace.close()
    assert [round(one.at_s + fetched.header.started_s - day.now_s, 3) for one in fetched.requests] == [-11, -1, 0]
    kept = read_trace_file(tmp_path / TRAFFIC)
    assert [round(one.at_s + kept.header.started_s, 3) for one in kept.requests] == [1000, 4610, 4611]
    assert (tmp_path / TRAFFIC).read_text().count('"kind":"trace"') == 2


def test_requests_without_a_key_fill_neither_disk_nor_memory(quiet_trace, tmp_path, caplog):
    trace, clock, _ = quiet_trace
    for _ in range(1000):
        note(trace, clock, "", 401)
        note(trace, clock, status=429)
    assert len(fetch_quiet(trace, 0).requests) == 1600
    trace.close()
    statuses = [one.status for one in read_trace_file(tmp_path / TRAFFIC).requests]
    assert (statuses.count(401), statuses.count(429)) == (600, 1000)
    assert "lacks 0 lines, and 400 requests without a valid key" in caplog.text


def test_a_file_that_has_its_size_ends_with_one_line_in_the_log_and_stays_ended(
    quiet_trace, tmp_path, caplog, monkeypatch
):
    trace, clock, _ = quiet_trace
    note(trace, clock)
    size_bytes = (tmp_path / TRAFFIC).stat().st_size
    monkeypatch.setattr(traffic_trace, "_MAX_BYTES", size_bytes)
    monkeypatch.setattr(trace._file, "max_bytes", size_bytes)
    for _ in range(3):
        note(trace, clock)
    trace.close()
    trace.open()
    note(trace, clock)
    assert (tmp_path / TRAFFIC).stat().st_size == size_bytes
    assert len(fetch_quiet(trace, 0).requests) == 5
    assert [one.message.count("ends here") for one in caplog.records] == [1, 0, 1]


@pytest.mark.parametrize("prompt", [b"9" * 5000, b'"\\udc00"', b"not JSON"])
def test_a_prompt_that_cannot_be_told_leaves_the_line_without_it(prompt):
    line = TraceRequest(at_s=1.0, path="/v1/completions", status=400, total_s=0.1, prompt_hash="0f")
    told = parse_trace(f'{{"kind":"trace","started_s":1.0}}\n{_encode(_Kept(line, prompt))}\n'.encode(), "it")
    assert told.requests == [line]


def test_a_step_of_the_ladder_is_told_once_however_the_clocks_drift(tmp_path, own_key):
    drifts = itertools.count()

    async def run():
        async with build_stand(tmp_path, ladder=True, knowledge="builtin:tickets", traffic=True) as stand:
            stand.gateway.degradation.history._clock = lambda: time.monotonic() - next(drifts) / 100
            stand.gateway.degradation.ladder.pin(Rung.EXTRACT)
            question = [{"role": "user", "content": "How long does a refund take?"}]
            await stand.client().chat.completions.create(model="fake", messages=question, max_tokens=1)
            await asyncio.sleep(0.5)

    asyncio.run(run())
    assert next(drifts) > 1
    assert [one.after for one in read_trace_file(tmp_path / TRAFFIC).events if one.what == "ladder"] == ["extract"]
