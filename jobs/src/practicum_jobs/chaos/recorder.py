"""Recordings of experiments: the traffic as the gateway saw it, masked, with the fault and what the service did."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import aiohttp

from practicum_core.errors import ConfigError, PlatformError, Reason
from practicum_core.layout import RunLayout
from practicum_core.stages.experiments import Experiment
from practicum_core.stages.load_results import LoadSample
from practicum_core.traffic import TRAFFIC, TRAFFIC_KEY, TRAFFIC_PATH, Recording, TraceRequest, hash_in_trace
from practicum_jobs.chaos import runner
from practicum_jobs.chaos.outcome import Outcome, classify
from practicum_jobs.chaos.traffic import Traffic
from practicum_jobs.load.fleet import LEAD_S
from practicum_jobs.load.masking import Masker
from practicum_jobs.load.prompts import Prompt
from practicum_jobs.load.quantile import find_quantile
from practicum_jobs.load.recording import Trace, Window, parse_trace, read_trace_file, write_recording
from practicum_jobs.load.sameness import Course
from practicum_jobs.load.schedule import RateStep

_TAIL = 0.99
_AFTER_S = 0.05
"""After the sending of the last request, what arrives is none of the load any more but a probe."""
_NONE = frozenset({401, 404})


@dataclass(frozen=True)
class RecordedTraffic(Traffic):
    """The load of a recording, sent again.

    Attributes:
        step: Its requests; times from the start of the experiment.
    """

    step: RateStep

    def build_step(self, number: int, seconds: float, part: int = 0) -> RateStep:
        """Build the recorded requests, whatever the number; what is sent after them is drawn as usual."""
        if part:
            return super().build_step(number, seconds, part)
        times = [round(max(at_s - LEAD_S, 0.0), 6) for at_s in self.step.at_s]
        return self.step.model_copy(update={"at_s": times, "duration_s": max(seconds, self.step.duration_s)})


@dataclass(frozen=True)
class Recorder:
    """Takes what a gateway recorded of an experiment.

    Attributes:
        session: Connections.
        url: Of the gateway.
        key: Of the servers of this run; empty on a cluster, where the trace is read in the workspace that they share.
        run: The run whose gateway records.
        own: Prompts that this step sends itself: a trace without bodies gets them back.
        folder: Where recordings go, each below its name; ``None`` where none is kept.
        zero_s: Start of the stage on the monotonic clock.
        masker: Masks recorded prompts, before anything is written.
    """

    session: aiohttp.ClientSession
    url: str
    key: str
    run: RunLayout
    own: Sequence[Prompt]
    folder: Path | None
    zero_s: float
    masker: Masker

    async def take(self, name: str, experiment: Experiment, done: runner.Course) -> Course | None:
        """Take the recording of an experiment that was just made; ``None`` where its fault was never made.

        Raises:
            ConfigError: The gateway records no traffic.
            PlatformError: It does not answer.
        """
        if done.fault_s is None or done.undone_s is None or not done.samples:
            return None
        duration_s = round(max(one.sent_s for one in done.samples) - done.start_s + _AFTER_S, 3)
        # The stage counts from its start, the gateway from the epoch.
        start_epoch_s = time.time() - (time.monotonic() - self.zero_s) + done.start_s
        window = Window(start_epoch_s, start_epoch_s + duration_s)
        trace = (await self._fetch(window)).cut(start_epoch_s, duration_s)
        masked_before = self.masker.num_masked
        own = hash_prompts(self.own, bytes.fromhex(trace.header.hash_key))
        requests = [_complete(one, own) for one in trace.requests]
        trace = Trace(trace.header, self.masker.mask(requests), trace.events)
        recording = Recording(
            name=name,
            experiment=experiment.model_dump(mode="json", by_alias=True),
            fault_s=round(done.fault_s - done.start_s, 3),
            undone_s=round(done.undone_s - done.start_s, 3),
            duration_s=duration_s,
            changes=[one.model_copy(update={"at_s": round(one.at_s - done.start_s, 3)}) for one in done.changes],
            events=[one for one in trace.events if one.what == "breaker"],
            num_lost=sum(classify(one) is Outcome.LOST for one in done.samples),
            late_p99_s=find_late_s(done.samples),
            num_masked=self.masker.num_masked - masked_before,
        )
        if self.folder is not None:
            write_recording(self.folder / Path(name).stem, recording, trace)
        return Course.of_recording(recording, trace.requests)

    async def _fetch(self, window: Window) -> Trace:
        if not self.key:
            return await asyncio.to_thread(self._read, window)
        address = f"{self.url.rstrip('/').removesuffix('/v1')}{TRAFFIC_PATH}"
        headers = {"authorization": f"Bearer {self.key}"}
        try:
            async with self.session.get(address, params={"since": f"{window.start_s:.6f}"}, headers=headers) as answer:
                content = await answer.read()
                if answer.status in _NONE:
                    raise ConfigError(
                        f"{address} answered {answer.status}: the gateway records no traffic for this run",
                        "set gateway.traffic=true, and record with the servers of the same run",
                    )
                answer.raise_for_status()
        except (aiohttp.ClientError, TimeoutError) as error:
            text = f"{address}: {error or type(error).__name__}"
            raise PlatformError(Reason.UPSTREAM_UNAVAILABLE, text, "see the log of the gateway's step") from error
        return parse_trace(content, address)

    def _read(self, window: Window) -> Trace:
        files = sorted(self.run.stages.glob(f"*/artifacts/{TRAFFIC}"))
        if not files:
            raise ConfigError(
                f"run {self.run.root.name} records no traffic",
                "set gateway.traffic=true, and record with the servers of the same run",
            )
        trace = read_trace_file(files[0], window)
        try:
            hash_key = files[0].with_name(TRAFFIC_KEY).read_text(encoding="ascii")
        except OSError:
            # Its gateway has ended; the prompts stay unknown.
            return trace
        return replace(trace, header=trace.header.model_copy(update={"hash_key": hash_key}))


def _complete(request: TraceRequest, own: Mapping[str, Any]) -> TraceRequest:
    prompt = own.get(request.prompt_hash) if request.prompt is None else None
    return request if prompt is None else request.model_copy(update={"prompt": prompt})


def hash_prompts(prompts: Sequence[Prompt], key: bytes) -> dict[str, Any]:
    """Return what a client sends as messages, by the hashes under which a gateway records them.

    Args:
        prompts: What is sent.
        key: Of the trace's hashes; without it, none is found.
    """
    if not key:
        return {}
    messages = [list(prompt.messages) for prompt in prompts]
    return {hash_in_trace(json.dumps(one, ensure_ascii=False).encode(), key): one for one in messages}


def find_late_s(samples: Sequence[LoadSample]) -> float:
    """Return how late 99 of 100 requests were sent at most.

    >>> find_late_s([LoadSample(load=0, rate=1, scheduled_s=1, sent_s=1.25, ended_s=2)])
    0.25
    """
    delays = sorted(one.dispatch_s for one in samples)
    return round(find_quantile(delays, _TAIL), 6) if delays else 0.0
