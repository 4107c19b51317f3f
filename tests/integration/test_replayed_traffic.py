"""Traffic of a real gateway recorded and sent again by the real command: the same, something else, and a cut file."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
from contextlib import AsyncExitStack, contextmanager

import pytest

from fake_engine import Settings
from gateway_stand import build_stand
from practicum_core.traffic import TRAFFIC

QUESTIONS = ("How long does a refund take?", "Where is my parcel?", "I cannot log in since yesterday.")


@contextmanager
def serve_stand(folder, settings=None, **options):
    """Serve a gateway in a thread of its own, so that a command may run meanwhile."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    stack = AsyncExitStack()

    def call(action):
        return asyncio.run_coroutine_threadsafe(action, loop).result(60)

    try:
        yield call(stack.enter_async_context(build_stand(folder, settings, **options))), call
    finally:
        call(stack.aclose())
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def ask_all(stand, num=24):
    """Ask questions, every 50 ms one, each streamed."""

    async def ask(number):
        messages = [{"role": "user", "content": QUESTIONS[number % 3]}]
        stream = await stand.client().chat.completions.create(
            model="fake", messages=messages, max_tokens=5, stream=True, stream_options={"include_usage": True}
        )
        async for _ in stream:
            pass

    asked = []
    for number in range(num):
        asked.append(asyncio.create_task(ask(number)))
        await asyncio.sleep(0.05)
    await asyncio.gather(*asked)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    folder = tmp_path_factory.mktemp("recorded")
    with serve_stand(folder, Settings(step_s=0.02), traffic=True) as (stand, call):
        call(ask_all(stand))
    return folder / TRAFFIC


def replay(folder, trace, stand, *words):
    """Send a trace again. Beside other tests the client may be late: what is compared is the service."""
    (folder / "key").write_text(stand.secret)
    command = [sys.executable, "-m", "practicum_cli.main", "replay", str(trace), stand.url, "--key-file", "key"]
    words = (
        "--set",
        "loadtest.max_dispatch_s=30",
        "--set",
        'loadtest.tolerances=["schedule_s=30","latency_s=1"]',
        "--json",
        *words,
    )
    done = subprocess.run([*command, *words], cwd=folder, capture_output=True, text=True, timeout=120, check=False)
    return done.returncode, done.stdout, done.stderr


def test_recorded_traffic_is_the_same_again_and_a_slower_service_is_not(recorded, tmp_path):
    with serve_stand(tmp_path, Settings(step_s=0.02), traffic=True) as (stand, _):
        code, out, err = replay(tmp_path, recorded, stand)
    assert code == 0, out + err
    found = json.loads(out)["result"]["replayed"]
    assert (found["verdict"], found["num_requests"]) == ("same", 24)
    # The gateway of the replay recorded it too: the same sizes at the same distances.
    first, second = (
        [json.loads(line) for line in path.read_text().splitlines()[1:]] for path in (recorded, tmp_path / TRAFFIC)
    )
    assert len(second) >= len(first) == 24
    slow = tmp_path / "slow"
    slow.mkdir()
    with serve_stand(slow, Settings(step_s=0.6), traffic=False) as (stand, _):
        code, out, err = replay(slow, recorded, stand)
    assert code == 1, out + err
    found = json.loads(out)["result"]["replayed"]
    assert found["verdict"] == "differs"
    assert "latency" in [one["name"] for one in found["findings"] if not one["is_met"]]


def test_a_file_that_is_cut_in_the_middle_is_one_clear_message(recorded, tmp_path):
    cut = tmp_path / "cut.jsonl"
    cut.write_bytes(recorded.read_bytes()[:-40])
    with serve_stand(tmp_path) as (stand, _):
        code, _, err = replay(tmp_path, cut, stand)
        missing, _, said = replay(tmp_path, tmp_path / "nowhere", stand)
    assert code == 3
    assert "line 25 is cut off" in err
    assert "Traceback" not in err
    assert missing == 2
    assert "no recorded traffic" in said
