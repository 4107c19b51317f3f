"""What a load test amounts to: its metrics and its failures. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from practicum_core.metrics import Metric
from practicum_core.stages.base import Failure
from practicum_core.stages.loadtest import (
    Bottleneck,
    BottleneckName,
    ClientCheck,
    Estimate,
    LoadLevel,
    LoadSample,
    Objective,
)

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
        samples: All requests of the test.
    """

    levels: Sequence[LoadLevel]
    check: ClientCheck
    knee_rate: Estimate | None
    bottleneck: Bottleneck
    objective: Objective
    stated_rate: float
    samples: Sequence[LoadSample] = ()

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
        text = f"at the lowest rate, {lowest.rate:g}/s, {share} of the requests met the SLO"
        asked = [one for one in outcome.samples if one.load == lowest.load and one.phase == "measured"]
        missed = describe_missed(asked, outcome.objective)
        text += f": {missed}; relax it" if missed else "; lower the rates or relax it"
        found.append(Failure(kind="slo_never_met", where=f"{lowest.rate:g}/s", text=text))
    return found


def describe_missed(samples: Sequence[LoadSample], objective: Objective) -> str:
    """Say which limits not even the fastest answer kept; empty where some answer kept each.

    Args:
        samples: Requests of one rate.
        objective: The service level objective.

    >>> times = {"scheduled_s": 0, "sent_s": 0, "first_token_s": 0.2, "ended_s": 0.5}
    >>> describe_missed([LoadSample(id="0-0", load=0, rate=1, **times)], Objective(ttft_s=1, e2e_s=0.1))
    'even the fastest answer took 0.500 s to its end, and slo_e2e_s is 0.1'
    """
    well = [one for one in samples if one.is_ok]
    limits = (
        ("first token took {:.3f} s, and slo_ttft_s", objective.ttft_s, [one.ttft_s for one in well]),
        ("answer took {:.4f} s per token, and slo_tpot_s", objective.tpot_s, [one.tpot_s for one in well]),
        ("answer took {:.3f} s to its end, and slo_e2e_s", objective.e2e_s, [one.e2e_s for one in well]),
    )
    found = []
    for text, limit, latencies in limits:
        known = [latency for latency in latencies if latency is not None]
        if limit is not None and known and min(known) > limit:
            found.append(f"even the fastest {text.format(min(known))} is {limit:g}")
    return "; ".join(found)
