"""The stage ``loadtest``: sends the requests of one rate after another, and records what the server bore."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from practicum_core.api_keys import KeyLimits
from practicum_core.atomic import write_text_atomic
from practicum_core.errors import Stopped
from practicum_core.stages.loadtest import (
    SERVER_METRICS,
    ClientCheck,
    Estimate,
    LoadLevel,
    LoadSample,
    LoadtestConfig,
    LoadtestRecord,
    ServerMetrics,
)
from practicum_jobs.context import StageContext
from practicum_jobs.datasets.store import load_split
from practicum_jobs.load.bottleneck import find_bottleneck
from practicum_jobs.load.comparison import compare_tests, read_samples
from practicum_jobs.load.exports import write_exports
from practicum_jobs.load.fleet import Target
from practicum_jobs.load.knee import Level, find_knee, propose_rate
from practicum_jobs.load.levels import build_level
from practicum_jobs.load.measurement import Measured, SelfCheck, open_bench
from practicum_jobs.load.schedule import Plan, RateStep
from practicum_jobs.load.scrape import Page
from practicum_jobs.load.server import hold_key, split_address
from practicum_jobs.load.timeline import build_timeline
from practicum_jobs.loadtest.outcome import Outcome, build_failures, build_metrics
from practicum_jobs.loadtest.replays import list_replay_failures, measure_replay, read_replayed
from practicum_jobs.loadtest.server import find_target, try_request
from practicum_jobs.scoring.intervals import Bootstrap, Interval

_NUM_RESAMPLES = 1000
_POLL_S = 0.25


@dataclass
class Result:
    """What a test gave: its rates in the order in which they were sent, and all requests and metrics."""

    levels: list[LoadLevel]
    checks: list[ClientCheck]
    samples: list[LoadSample]
    metrics: list[ServerMetrics]


def run(config: LoadtestConfig, ctx: StageContext) -> LoadtestRecord:
    """Load the server, rate by rate.

    Raises:
        ConfigError: The key, the model or such requests are refused, or an option does not fit.
        DataError: The split, the trace or the schedule cannot be read.
        PlatformError: The server does not answer, or a client process died.
        Stopped: A stop was requested.
    """
    recorded = read_replayed(config, ctx)
    plan = recorded.build_plan(config) if recorded else _build_plan(config, ctx)
    limits = KeyLimits(
        requests_per_minute=config.own_key_requests_per_minute,
        tokens_per_minute=config.own_key_tokens_per_minute,
        concurrent_requests=config.own_key_concurrent_requests,
    )
    with hold_key(config, ctx, limits) as key:
        target = find_target(config, key)
        longest = max(plan.prompts, key=lambda prompt: len(prompt.text))
        try_request(target, target.encode_prompt(longest), config.max_tokens)
        result = asyncio.run(_Test(config, ctx, plan, target).run())
    schedule_sha256, prompts_sha256 = plan.save(ctx.layout.artifacts)
    ctx.write_samples(result.samples)
    lines = (one.model_dump_json() for one in sorted(result.metrics, key=lambda one: one.at_s))
    write_text_atomic(ctx.layout.root / SERVER_METRICS, "".join(f"{line}\n" for line in lines))
    levels = sorted(result.levels, key=lambda level: level.rate)
    check = _choose_check(result.checks)
    knee = find_knee(_list_judged(levels), config.slo_share)
    knee_rate = None if knee.rate is None else Estimate(value=knee.rate, low=knee.sure_low, high=knee.sure_high)
    base = read_samples(config.base_samples, _find_path(config.base_samples, ctx)) if config.base_samples else []
    bottleneck = find_bottleneck(levels, result.samples, result.metrics, config.objective)
    replayed = recorded.compare(result.samples, check, config) if recorded else None
    stated = config.stated_rate or config.rates[0]
    outcome = Outcome(levels, check, knee_rate, bottleneck, config.objective, stated, result.samples)
    record = LoadtestRecord(
        url=config.url,
        model=target.model,
        endpoint=config.endpoint,
        load=config.load,
        schedule_sha256=schedule_sha256,
        prompts_sha256=prompts_sha256,
        num_clients=config.num_clients,
        objective=config.objective,
        levels=levels,
        client_check=check,
        knee_rate=knee_rate,
        knee_basis=knee.basis,
        timeline=build_timeline(levels, result.samples, result.metrics),
        bottleneck=bottleneck,
        differences=compare_tests(base, result.samples, Bootstrap(_NUM_RESAMPLES, config.seed)),
        replayed=replayed,
        metrics=build_metrics(outcome) + measure_replay(replayed),
        failures=build_failures(outcome) + list_replay_failures(replayed),
        **ctx.build_record_fields(),
    )
    for name in config.export:
        write_exports(name, ctx.layout.artifacts, record, result.samples)
    kept = ctx.describe_artifact(ctx.layout.artifacts, "schedule, prompts and exports")
    return record.model_copy(update={"artifacts": [kept]})


def _build_plan(config: LoadtestConfig, ctx: StageContext) -> Plan:
    if config.schedule is not None:
        return Plan.read(config, _find_path(config.schedule, ctx))
    rows = load_split(ctx, config.split, config.num_prompts) if config.split else []
    return Plan.build(config, rows, _find_path(config.trace, ctx) if config.trace else None)


def _find_path(uri: str, ctx: StageContext) -> Path:
    return Path(ctx.resolve_uri(uri, "data").removeprefix("file://"))


class _Test:
    """One test under way."""

    def __init__(self, config: LoadtestConfig, ctx: StageContext, plan: Plan, target: Target) -> None:
        self._config = config
        self._ctx = ctx
        self._plan = plan
        self._target = target
        self._check = SelfCheck(config.max_dispatch_s, config.max_client_cpu)
        self._objective = config.objective
        self._bootstrap = Bootstrap(_NUM_RESAMPLES, config.seed)
        self._result = Result([], [], [], [])

    async def run(self) -> Result:
        config = self._config
        roots = dict.fromkeys(split_address(url)[0] for url in (config.url, config.engine_url) if url)
        # The key goes to the server that is tested, and to no other.
        pages = [Page(root, self._target.key if root == split_address(config.url)[0] else "") for root in roots]
        async with open_bench(self._target, config.num_clients, pages) as bench:
            while (step := self._find_step()) is not None:
                load = len(self._result.levels)
                measuring = bench.measure(load, step, self._plan.prompts, config.settle_s, self._check)
                self._take(await self._watch(measuring, load, step))
            self._result.metrics = bench.metrics
        return self._result

    def _find_step(self) -> RateStep | None:
        """Return the requests of the next rate; ``None`` at the end of the test."""
        done = len(self._result.levels)
        if done < len(self._plan.steps):
            return self._plan.steps[done]  # of a schedule that is sent again
        if self._plan.is_replay or any(not check.is_ok for check in self._result.checks):
            return None  # a client that did not keep one rate keeps no higher one
        if done < len(self._config.rates):
            return self._plan.add_rate(self._config.rates[done])
        if done - len(self._config.rates) >= self._config.search_steps:
            return None
        rate = propose_rate(_list_judged(self._result.levels), self._config.slo_share)
        return None if rate is None else self._plan.add_rate(rate)

    async def _watch(self, measuring: Coroutine[Any, Any, Measured], load: int, step: RateStep) -> Measured:
        """Await a rate; report progress, and stop where that is asked for."""
        ctx = self._ctx
        task = asyncio.create_task(measuring)
        loop = asyncio.get_running_loop()
        started_s = loop.time()
        planned = max(len(self._config.rates), len(self._plan.steps), load + 1)
        while not task.done():
            await asyncio.wait({task}, timeout=_POLL_S)
            if ctx.is_stop_requested:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
                raise Stopped
            part = min((loop.time() - started_s) / step.duration_s, 1.0)
            ctx.progress((load + part) / planned, f"{step.rate:g} requests/s")
        return task.result()

    def _take(self, measured: Measured) -> None:
        level = build_level(measured.samples, measured.window_s, self._objective, self._bootstrap)
        level = level.model_copy(update={"client_cpu_share": measured.client.max_cpu_share})
        if not measured.client.is_ok:
            level = refuse_level(level, measured.client.why)
        self._result.levels.append(level)
        self._result.checks.append(measured.client)
        self._result.samples.extend(measured.samples)
        print(describe_level(level), flush=True)  # noqa: T201 - the step's log


def refuse_level(level: LoadLevel, why: str) -> LoadLevel:
    """Take out of a rate the figures that are not the server's, because the client was the limit."""
    absent = dict.fromkeys(("ttft", "tpot", "itl", "e2e", "goodput", "good_share"))
    return level.model_copy(update={**absent, "meets_slo": False, "refused": why})


def describe_level(level: LoadLevel) -> str:
    """Describe a rate in one line, for the step's log."""
    counts = f"{level.rate:g} requests/s: {level.num_ok} of {level.num_requests} well"
    if level.refused:
        return f"{counts}; refused: {level.refused}"
    ttft = f", TTFT p50 {level.ttft.p50.value:.3f} s, p99 {level.ttft.p99.value:.3f} s" if level.ttft else ""
    return f"{counts}{ttft}, {'within' if level.meets_slo else 'outside'} the SLO"


def _list_judged(levels: Sequence[LoadLevel]) -> list[Level]:
    """List the rates whose figures count, for the search of the knee."""
    return [
        Level(level.rate, Interval(share.value, share.low or 0.0, share.high or 0.0))
        for level in levels
        if (share := level.good_share) is not None
    ]


def _choose_check(checks: Sequence[ClientCheck]) -> ClientCheck:
    """Return the worst check of all rates."""
    return max(checks, key=lambda one: (not one.is_ok, one.dispatch_p99_s))
