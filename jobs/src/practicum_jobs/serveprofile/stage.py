"""The stage ``serveprofile``: a server with the baseline's options beside one with a lever, asked in turn."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from practicum_core.errors import PlatformError, Reason
from practicum_core.machine import count_usable_cores, list_gpus
from practicum_core.metrics import Metric
from practicum_core.stages.levers import BASELINE, CONTROL, LeverRow
from practicum_core.stages.serveprofile import ServeProfileConfig, ServeProfileRecord
from practicum_jobs.adapters.vllm_server import prepare_environment
from practicum_jobs.context import StageContext
from practicum_jobs.levers.comparison import build_rows, plan_order
from practicum_jobs.levers.processes import MeasuringProcesses
from practicum_jobs.levers.results import build_lever_failures, build_lever_metrics
from practicum_jobs.load.fleet import Fleet, start_fleet
from practicum_jobs.load.measurement import build_samples
from practicum_jobs.models.sources import ensure_model
from practicum_jobs.serveprofile.server import (
    RunningServer,
    ServerFailedError,
    ServerOrder,
    find_free_port,
    hold_server,
)
from practicum_jobs.serveprofile.traffic import (
    Burst,
    ask,
    build_target,
    compare_answers,
    plan_burst,
    summarize_burst,
    write_burst,
)
from practicum_jobs.training.facts import count_threads

SERVER = "practicum_jobs.adapters.vllm_server:serve_until_stopped"
LIBRARIES = ("vllm.entrypoints.launchers.api_server.entry", "practicum_jobs.adapters.vllm_server")
DECIDING = "tokens_per_s"
_FAULTS = (ServerFailedError, PlatformError, httpx.HTTPError, ValueError, LookupError, TypeError)
"""What a server, its answers and the clients of its load may fail with."""


def run(config: ServeProfileConfig, ctx: StageContext) -> ServeProfileRecord:
    """Measure every lever beside the baseline.

    Raises:
        ConfigError: There is no such model.
        PlatformError: The baseline's server does not become ready, or answers nothing.
        Stopped: A stop was requested.
    """
    folder = ensure_model(ctx.resolve_uri(config.model), ctx.cache_dir).path
    prepare_environment(config.build_server())
    return _Bench(config, ctx, folder).measure()


@dataclass
class _Found:
    """What was measured of one lever beside the baseline."""

    rounds: list[dict[str, dict[str, float]]] = field(default_factory=list)
    difference: float | None = None
    num_failed: int = 0
    note: str = ""


class _Bench:
    """Everything that the measurements of one run share."""

    def __init__(self, config: ServeProfileConfig, ctx: StageContext, folder: Path) -> None:
        self._config, self._ctx, self._folder = config, ctx, folder
        self._processes = MeasuringProcesses(ctx, LIBRARIES, config.timeout_s)
        self._names = [CONTROL, *config.levers]
        self._num_rounds = 0

    def measure(self) -> ServeProfileRecord:
        found: dict[str, _Found] = {}
        try:
            with hold_server(self._processes, self._order(BASELINE), self._config.timeout_s, self._ctx) as baseline:
                asked = self._ask(baseline)
                for number, name in enumerate(self._names):
                    self._ctx.progress((number + 0.1) / len(self._names), f"measuring {name}")
                    found[name] = self._measure_beside(baseline, name, asked)
                    if problem := baseline.watched.find_problem():
                        # It ended beside this lever, whose fault that need not be.
                        _note_end(found, self._names[number:], problem)
                        break
        except (ServerFailedError, httpx.HTTPError) as error:
            raise PlatformError(
                Reason.STAGE_CRASHED, f"the baseline's server: {error}", "read baseline.log in the step's folder"
            ) from error
        return self._build_record(found)

    def _order(self, name: str) -> ServerOrder:
        """Return what the process of a lever serves; its log is named after its place."""
        number = 0 if name == BASELINE else 1 + self._names.index(name)
        log = self._ctx.layout.root / (f"{name}.log" if name in (BASELINE, CONTROL) else f"lever-{number - 1}.log")
        lever = "" if name in (BASELINE, CONTROL) else name
        return ServerOrder(
            SERVER, self._config.build_server(lever), self._folder, find_free_port(), count_threads(1), log
        )

    def _ask(self, server: RunningServer) -> list[str]:
        config = self._config
        prompts = write_burst(config, 0)[: config.num_answers]
        return ask(server.url, prompts, config.max_tokens, config.timeout_s)

    def _measure_beside(self, baseline: RunningServer, name: str, asked: Sequence[str]) -> _Found:
        found = _Found()
        order = self._order(name)
        try:
            with hold_server(self._processes, order, self._config.timeout_s, self._ctx) as server:
                found.difference = compare_answers(asked, self._ask(server))
                asyncio.run(self._send_rounds({BASELINE: baseline, name: server}, found))
        except _FAULTS as error:
            # An answer that is none, and clients that died, must not cost what other levers gave.
            found.note = f"{error} (its log: {order.log.name})"
        found.rounds = found.rounds[1:]  # the first one warms both
        return found

    async def _send_rounds(self, servers: dict[str, RunningServer], found: _Found) -> None:
        """Send a burst to each server in every round, and one before them that warms both."""
        timeout_s, zero_s = self._config.timeout_s, time.monotonic()
        async with contextlib.AsyncExitStack() as stack:
            fleets = {
                name: await stack.enter_async_context(start_fleet(build_target(server.url, timeout_s), 1, zero_s))
                for name, server in servers.items()
            }
            for turn in plan_order(list(servers), self._config.rounds + 1, self._config.seed):
                self._num_rounds += 1
                bursts = {name: await self._send_burst(fleets[name], servers[name]) for name in turn}
                found.rounds.append({name: burst.figures for name, burst in bursts.items() if burst.figures})
                found.num_failed += sum(burst.num_failed for burst in bursts.values())

    async def _send_burst(self, fleet: Fleet, server: RunningServer) -> Burst:
        self._ctx.raise_if_stopped()
        step = plan_burst(self._config)
        prompts = write_burst(self._config, self._num_rounds)
        sending = await fleet.send_rate(0, step, prompts, self._config.timeout_s)
        return summarize_burst(build_samples(0, step, sending), server.measure_memory())

    def _build_record(self, found: dict[str, _Found]) -> ServeProfileRecord:
        config = self._config
        rounds = [one for name in self._names for one in found[name].rounds]
        rows = build_rows([BASELINE, *self._names], rounds, DECIDING)
        rows = [row if row.name == BASELINE else _add_effect(row, found[row.name]) for row in rows]
        metrics = build_lever_metrics(rows, DECIDING, ())
        metrics += [
            Metric(name=name, value=rows[0].figures[name]) for name in ("ttft_s", "tpot_s") if name in rows[0].figures
        ]
        metrics.append(Metric(name="num_failed_requests", value=float(sum(one.num_failed for one in found.values()))))
        return ServeProfileRecord(
            **self._ctx.build_record_fields(),
            subject="serving",
            baseline_options=config.baseline,
            deciding_figure=DECIDING,
            rows=rows,
            cores=count_usable_cores(),
            gpus=list_gpus(),
            metrics=metrics,
            failures=build_lever_failures(rows, ()),
        )


def _note_end(found: dict[str, _Found], names: Sequence[str], problem: str) -> None:
    """Note of levers that they were not measured to their end, because the baseline's server ended.

    Raises:
        ServerFailedError: Nothing was measured before.
    """
    if names[0] == CONTROL:
        raise ServerFailedError(problem)
    for name in names:
        one = found.setdefault(name, _Found())
        one.note = f"the baseline's server ended: {problem} (its log: {BASELINE}.log)"


def _add_effect(row: LeverRow, found: _Found) -> LeverRow:
    update: dict[str, object] = {"note": found.note}
    if found.difference is not None:
        update |= {"effect": "changed" if found.difference else "same", "effect_size": found.difference}
    return row.model_copy(update=update)
