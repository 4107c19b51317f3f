"""What a load test amounts to: its metrics and its failures. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from practicum_core.metrics import Metric
from practicum_core.stages.base import Failure
from practicum_core.stages.loadtest import Bottleneck, BottleneckName, ClientCheck, Estimate, LoadLevel, Objective

_UNNAMED = frozenset({BottleneckName.NONE, BottleneckName.UNKNOWN})


@dataclass(frozen=True)
class Outcome:
    """What was found.

    Attributes:
        levels: All rates, ascending; at least one.
        check: How well the client kept its schedule, at its worst.
        knee_rate: Highest rate that met the objective; ``None`` if none did.
        bottleneck: What the lowest rate that failed waited for first.
        objective: The service level objective.
        stated_rate: The rate that the service promises.
    """

    levels: Sequence[LoadLevel]
    check: ClientCheck
    knee_rate: Estimate | None
    bottleneck: Bottleneck
    objective: Objective
    stated_rate: float

    def find_stated(self) -> LoadLevel:
        """Return the level of the stated rate; the lowest where that was not sent."""
        return next((level for level in self.levels if level.rate == self.stated_rate), self.levels[0])

    def list_to_knee(self) -> list[LoadLevel]:
        """List the levels up to the knee."""
        return [level for level in self.levels if self.knee_rate is not None and level.rate <= self.knee_rate.value]


def build_metrics(outcome: Outcome) -> list[Metric]:
    """Build the metrics of the record; what was not measured has none."""
    levels, check, to_knee = outcome.levels, outcome.check, outcome.list_to_knee()
    metrics = [
        Metric(name="num_requests", value=sum(level.num_requests for level in levels)),
        Metric(name="num_failed", value=sum(level.num_failed for level in levels)),
        Metric(name="num_levels", value=len(levels)),
        Metric(name="num_refused_levels", value=sum(bool(level.refused) for level in levels)),
        Metric(name="bottleneck_named", value=float(outcome.bottleneck.name not in _UNNAMED)),
        Metric(name="client_ok", value=float(check.is_ok)),
        Metric(name="dispatch_p99_s", value=check.dispatch_p99_s, unit="s"),
        Metric(name="client_cpu_share", value=check.max_cpu_share),
    ]
    if outcome.knee_rate is not None:
        metrics.append(Metric(name="knee_rate", **outcome.knee_rate.model_dump(), unit="1/s"))
    if to_knee:
        metrics.append(Metric(name="num_failed_to_knee", value=sum(level.num_failed for level in to_knee)))
        metrics.append(Metric(name="knee_tokens_per_s", value=to_knee[-1].completion_tokens_per_s, unit="tokens/s"))
    return metrics + _measure_stated(outcome.find_stated(), outcome.objective)


def _measure_stated(level: LoadLevel, objective: Objective) -> list[Metric]:
    if level.ttft is None:
        return []
    p95 = level.ttft.p95
    found = [Metric(name="stated_ttft_p95_s", **p95.model_dump(), unit="s")]
    if objective.ttft_s is not None:
        found.append(Metric(name="stated_ttft_p95_ratio", value=p95.value / objective.ttft_s))
    return found


def build_failures(outcome: Outcome) -> list[Failure]:
    """List the rates that were refused or at which requests failed, and say so if none met the objective."""
    levels = outcome.levels
    found = [
        Failure(kind="client_limited", where=f"{level.rate:g}/s", text=level.refused)
        for level in levels
        if level.refused
    ]
    for level in levels:
        if level.num_failed:
            kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(level.failures.items()))
            text = f"{level.num_failed} of {level.num_requests} requests failed: {kinds}"
            found.append(Failure(kind="requests_failed", where=f"{level.rate:g}/s", text=text))
    if outcome.knee_rate is None and not any(level.refused for level in levels):
        lowest = levels[0]
        share = f"{lowest.good_share.value:.0%}" if lowest.good_share else "none"
        text = (
            f"at the lowest rate, {lowest.rate:g}/s, {share} of the requests met the SLO; lower the rates or relax it"
        )
        found.append(Failure(kind="slo_never_met", where=f"{lowest.rate:g}/s", text=text))
    return found
