"""Recorded traffic as the schedule of a load test, and how the answers compare with the recorded ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from practicum_core.metrics import Metric
from practicum_core.stages.base import Failure
from practicum_core.stages.load_results import ClientCheck, LoadSample
from practicum_core.stages.loadtest import LoadtestConfig
from practicum_core.stages.replays import ReplayComparison, ReplayVerdict
from practicum_core.traffic import TraceRequest
from practicum_jobs.context import StageContext
from practicum_jobs.load.prompts import Prompt
from practicum_jobs.load.recording import read_trace_file
from practicum_jobs.load.replay import build_replay, build_seen, list_replayable
from practicum_jobs.load.sameness import Course, compare_courses
from practicum_jobs.load.schedule import Plan, RateStep


@dataclass(frozen=True)
class Replayed:
    """Recorded traffic that is sent again.

    Attributes:
        requests: As recorded, the first at 0.
        step: Their schedule.
        prompts: What is sent.
    """

    requests: Sequence[TraceRequest]
    step: RateStep
    prompts: Sequence[Prompt]

    def build_plan(self, config: LoadtestConfig) -> Plan:
        """Build the plan of the test: this one rate."""
        plan = Plan(config, self.prompts)
        plan.steps = [self.step]
        plan.is_replay = True
        return plan

    def compare(self, samples: Sequence[LoadSample], check: ClientCheck, config: LoadtestConfig) -> ReplayComparison:
        """Hold what the client saw against what was recorded.

        The ladder is left out: the fault of the recording is not made again.
        """
        zero_s = min(one.scheduled_s for one in samples)
        replay = Course(build_seen(samples, zero_s), late_p99_s=check.dispatch_p99_s)
        return compare_courses(Course(self.requests), replay, config.tolerances, seed=config.seed)


def read_replayed(config: LoadtestConfig, ctx: StageContext) -> Replayed | None:
    """Read the traffic that is sent again; ``None`` where the test has a schedule of its own.

    Raises:
        DataError: The trace cannot be read, or is not whole; the message names the line.
    """
    if config.replay is None:
        return None
    trace = read_trace_file(Path(ctx.resolve_uri(config.replay, "data").removeprefix("file://")))
    found = list_replayable(trace.requests)
    zero_s = found[0].at_s if found else 0.0
    requests = [one.model_copy(update={"at_s": round(one.at_s - zero_s, 6)}) for one in found]
    return Replayed(requests, *build_replay(requests, config.max_tokens))


def measure_replay(replayed: ReplayComparison | None) -> list[Metric]:
    """Measure whether a replay was the same; nothing where there was none."""
    if replayed is None:
        return []
    return [Metric(name="replay_same", value=float(replayed.verdict is ReplayVerdict.SAME))]


def list_replay_failures(replayed: ReplayComparison | None) -> list[Failure]:
    """List what was not the same."""
    if replayed is None or replayed.verdict is ReplayVerdict.SAME:
        return []
    missed = [f"{one.name}: {one.shown}, not {one.bound}" for one in replayed.findings if not one.is_met]
    return [Failure(kind=replayed.verdict, where="replay", text="; ".join(missed))]
