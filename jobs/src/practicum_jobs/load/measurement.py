"""A load test as it runs: one rate after another, with what the servers said meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field

from practicum_core.stages.loadtest import ClientCheck, LoadSample, RequestError, ServerMetrics
from practicum_jobs.load.fleet import Fleet, Sending, Target, start_fleet
from practicum_jobs.load.prompts import Prompt
from practicum_jobs.load.schedule import RateStep
from practicum_jobs.load.scrape import Page, watch

CLIENT = "client"
CPU_SHARE = "cpu_share"
"""In the metrics of the source client: share of a core, of the busiest client process."""


@dataclass
class Measured:
    """One rate as it was sent.

    Attributes:
        samples: Its requests in order, those of the warm-up too.
        window_s: Start and end of the measured part, from the start of the test.
        client: How well the client processes kept the schedule.
    """

    samples: list[LoadSample]
    window_s: tuple[float, float]
    client: ClientCheck


@dataclass
class Bench:
    """Client processes under way, and what was read of the servers so far."""

    fleet: Fleet
    metrics: list[ServerMetrics] = field(default_factory=list)

    async def measure(
        self, load: int, step: RateStep, prompts: Sequence[Prompt], settle_s: float, check: SelfCheck
    ) -> Measured:
        """Send the requests of one rate, and wait until all have ended.

        Raises:
            PlatformError: A client process died.
        """
        sending = await self.fleet.send_rate(load, step, prompts, settle_s)
        samples = build_samples(load, step, sending)
        window_s = (sending.start_s + step.warmup_s, sending.start_s + step.duration_s)
        shares = _list_shares(sending)
        for at_s, share in shares:
            self.metrics.append(ServerMetrics(at_s=at_s, source=CLIENT, values={CPU_SHARE: share}))
        busy = [share for at_s, share in shares if window_s[0] < at_s <= window_s[1] + 1]
        return Measured(samples, window_s, check.judge(samples, busy))


@contextlib.asynccontextmanager
async def open_bench(target: Target, num_clients: int, pages: Sequence[Page]) -> AsyncIterator[Bench]:
    """Start the client processes and the reading of metrics; the test's clock starts at 0.

    Raises:
        PlatformError: A client process cannot be started.
    """
    zero_s = time.monotonic()
    async with start_fleet(target, num_clients, zero_s) as fleet:
        bench = Bench(fleet)
        watching = asyncio.create_task(watch(pages, zero_s, bench.metrics.append))
        try:
            yield bench
        finally:
            watching.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await watching


@dataclass(frozen=True)
class SelfCheck:
    """When the figures of a rate are refused, because the client itself was the limit.

    Attributes:
        max_dispatch_s: 99th percentile of the delay between schedule and sending.
        max_cpu_share: Of one core, of a client process, in its busiest second.
    """

    max_dispatch_s: float
    max_cpu_share: float

    def judge(self, samples: Sequence[LoadSample], cpu_shares: Sequence[float]) -> ClientCheck:
        """Judge how well the client kept its schedule at one rate.

        Args:
            samples: Its requests; those of the warm-up do not count.
            cpu_shares: Of the busiest client process, by second.

        >>> late = LoadSample(load=0, rate=1, scheduled_s=1, sent_s=1.5, ended_s=2)
        >>> SelfCheck(0.02, 0.9).judge([late], [0.1]).why
        'the client sent requests 500 ms late (99th percentile); 20 ms are allowed'
        """
        delays = sorted(one.dispatch_s for one in samples if one.phase == "measured")
        p50, p99 = (delays[min(int(share * len(delays)), len(delays) - 1)] for share in (0.5, 0.99))
        cpu_share = max(cpu_shares, default=0.0)
        num_own = sum(one.error == RequestError.CLIENT for one in samples)
        why = ""
        if num_own:
            why = f"this machine had no open file or port left for {num_own} requests; raise its limit (ulimit -n)"
        elif p99 > self.max_dispatch_s:
            why = (
                f"the client sent requests {1000 * p99:.0f} ms late (99th percentile); "
                f"{1000 * self.max_dispatch_s:.0f} ms are allowed"
            )
        elif cpu_share > self.max_cpu_share:
            why = f"a client process used {cpu_share:.0%} of a core; {self.max_cpu_share:.0%} are allowed"
        return ClientCheck(is_ok=not why, why=why, dispatch_p50_s=p50, dispatch_p99_s=p99, max_cpu_share=cpu_share)


def build_samples(load: int, step: RateStep, sending: Sending) -> list[LoadSample]:
    """Build the samples of a rate, in order of their scheduled times."""
    return [
        LoadSample(
            id=f"{load}-{number}",
            load=load,
            rate=step.rate,
            phase="measured" if step.at_s[number] >= step.warmup_s else "warmup",
            client=client,
            scheduled_s=sent.scheduled_s,
            sent_s=sent.sent_s,
            first_token_s=sent.first_token_s,
            last_token_s=sent.last_token_s,
            ended_s=sent.ended_s,
            status=sent.status,
            error=sent.error,
            error_text=sent.error_text,
            rung=sent.rung,
            traceparent=sent.traceparent,
            sent_at_s=sent.sent_at_s,
            prompt_index=sent.prompt_index,
            prompt_tokens=sent.prompt_tokens,
            completion_tokens=sent.completion_tokens,
            num_chunks=sent.num_chunks,
            itl_p50_s=sent.itl_p50_s,
            itl_p99_s=sent.itl_p99_s,
            itl_max_s=sent.itl_max_s,
        )
        for number, (client, sent) in sorted(sending.requests.items())
    ]


def _list_shares(sending: Sending) -> list[tuple[float, float]]:
    """List the share of a core of the busiest process, by second."""
    rounded: dict[int, tuple[float, float]] = {}
    for at_s, share in (one for process in sending.seconds for one in process):
        if share >= rounded.get(round(at_s), (0.0, -1.0))[1]:
            rounded[round(at_s)] = (at_s, share)
    return [rounded[second] for second in sorted(rounded)]
