"""Recordings of experiments: without bodies from the gateway, a step gets back the prompts that it sent itself."""

from __future__ import annotations

import asyncio
import time

import aiohttp
import pytest

from gateway_stand import build_stand
from practicum_core.errors import ConfigError
from practicum_core.layout import RunLayout
from practicum_core.stages.experiments import Experiment
from practicum_core.stages.load_results import LoadSample
from practicum_core.traffic import TRAFFIC, TRAFFIC_KEY
from practicum_jobs.chaos.recorder import Recorder
from practicum_jobs.chaos.runner import Course
from practicum_jobs.load.fleet import Target, start_fleet
from practicum_jobs.load.masking import Masker
from practicum_jobs.load.prompts import Prompt
from practicum_jobs.load.recording import read_recording
from practicum_jobs.load.schedule import RateStep

PROMPTS = [Prompt(({"role": "user", "content": "My number is 13800138000. 退款要多久？"},))]
EXPERIMENT = Experiment.model_validate({"title": "x", "method": [{"name": "y", "provider": {"func": "kill"}}]})


async def record(folder, *, traffic):
    """Send two requests through a gateway, and take the recording of an experiment that lasted as long."""
    run = RunLayout(folder / "run")
    place = run.stage("front").artifacts
    async with build_stand(folder, traffic=traffic) as stand, aiohttp.ClientSession() as session:
        url = f"{stand.url}/v1/chat/completions"
        target = Target(url, stand.secret, "fake", is_chat=True, ignore_eos=True, timeout_s=5)
        zero_s = time.monotonic()
        step = RateStep(rate=2, warmup_s=0, duration_s=0.5, at_s=[0, 0.2], prompts=[0, 0], max_tokens=[2, 2])
        async with start_fleet(target, 1, zero_s) as fleet:
            sending = await fleet.send_rate(0, step, PROMPTS, 5)
        samples = [
            LoadSample(load=0, rate=2, scheduled_s=one.scheduled_s, sent_s=one.sent_s, ended_s=one.ended_s, status=200)
            for _, one in sending.requests.values()
        ]
        if traffic:
            place.mkdir(parents=True)
            for name in (TRAFFIC, TRAFFIC_KEY):
                (folder / name).rename(place / name)
        recorder = Recorder(session, stand.url, "", run, PROMPTS, folder / "kept", zero_s, Masker())
        course = Course(start_s=0.0, was_steady=True, fault_s=0.5, undone_s=0.7, samples=samples)
        return await recorder.take("errors", EXPERIMENT, course)


def test_the_trace_is_read_in_the_workspace_and_prompts_come_back_masked(tmp_path):
    course = asyncio.run(record(tmp_path, traffic=True))
    assert [one.outcome for one in course.requests] == ["full", "full"]
    recording, trace = read_recording(tmp_path / "kept/errors")
    assert [one.prompt[0]["content"] for one in trace.requests] == ["My number is 1*********0. 退款要多久？"] * 2
    assert (recording.fault_s, recording.undone_s, recording.num_masked) == (0.5, 0.7, 2)
    hash_key = next(tmp_path.rglob(TRAFFIC_KEY)).read_text()
    assert all(hash_key not in path.read_text() for path in (tmp_path / "kept/errors").iterdir())
    assert abs((trace.requests[1].at_s - trace.requests[0].at_s) - 0.2) < 0.15


def test_a_gateway_that_records_nothing_is_told(tmp_path):
    with pytest.raises(ConfigError, match="records no traffic"):
        asyncio.run(record(tmp_path, traffic=False))
