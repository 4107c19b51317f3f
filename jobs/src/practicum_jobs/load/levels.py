"""What one rate gave: latencies with intervals, failed requests apart, throughput and goodput. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from practicum_core.stages.load_results import Estimate, LatencySummary, LoadLevel, LoadSample
from practicum_core.stages.loadtest import Objective
from practicum_jobs.load.goodput import estimate_good_share
from practicum_jobs.load.percentiles import estimate_percentiles
from practicum_jobs.scoring.intervals import Bootstrap


def summarize_latency(values: Sequence[float], bootstrap: Bootstrap) -> LatencySummary | None:
    """Return percentiles with 95% intervals and the mean; ``None`` for no value.

    Args:
        values: Seconds, one for each request, in the order of their scheduled times.
        bootstrap: Number of resamples and seed.
    """
    if not values:
        return None
    found = estimate_percentiles(values, bootstrap)
    p50, p95, p99 = (Estimate(value=one.value, low=one.low, high=one.high) for one in found)
    return LatencySummary(p50=p50, p95=p95, p99=p99, mean=sum(values) / len(values))


def build_level(
    samples: Sequence[LoadSample], window_s: tuple[float, float], objective: Objective, bootstrap: Bootstrap
) -> LoadLevel:
    """Build what one rate gave from its requests.

    Latencies are those of the measured requests that ended well. Failed ones count in the goodput, as not good. What
    was reached (requests and tokens per second) is of the requests that ended in the window, those of the warm-up too:
    under a load that is not borne, most of the measured ones end after it.

    Args:
        samples: All requests of one rate, of the warm-up too; at least one of them measured.
        window_s: Start and end of the measured part.
        objective: The service level objective.
        bootstrap: Number of resamples and seed.

    Raises:
        ValueError: No request is measured.
    """
    measured = sorted((one for one in samples if one.phase == "measured"), key=lambda one: one.scheduled_s)
    if not measured:
        raise ValueError("no measured request")
    well = [one for one in measured if one.is_ok]
    length_s = window_s[1] - window_s[0]
    ended = [one for one in samples if one.is_ok and window_s[0] <= one.ended_s < window_s[1]]
    share = estimate_good_share([objective.is_met_by(one) for one in measured], bootstrap)
    rate = len(measured) / length_s
    dispatch = sorted(one.dispatch_s for one in measured)
    return LoadLevel(
        load=measured[0].load,
        rate=measured[0].rate,
        start_s=window_s[0],
        end_s=window_s[1],
        scheduled_rate=rate,
        reached_rate=len(ended) / length_s,
        num_requests=len(measured),
        num_ok=len(well),
        num_failed=len(measured) - len(well),
        failures=dict(Counter(one.error for one in measured if not one.is_ok)),
        ttft=summarize_latency([one.ttft_s for one in well if one.ttft_s is not None], bootstrap),
        tpot=summarize_latency([one.tpot_s for one in well if one.tpot_s is not None], bootstrap),
        itl=summarize_latency([one.itl_p99_s for one in well if one.itl_p99_s is not None], bootstrap),
        e2e=summarize_latency([one.e2e_s for one in well], bootstrap),
        prompt_tokens_per_s=sum(one.prompt_tokens for one in ended) / length_s,
        completion_tokens_per_s=sum(one.completion_tokens for one in ended) / length_s,
        goodput=Estimate(value=rate * share.value, low=rate * share.low, high=rate * share.high),
        good_share=Estimate(value=share.value, low=share.low, high=share.high),
        meets_slo=share.value >= objective.share,
        dispatch_p50_s=dispatch[(len(dispatch) - 1) // 2],
        dispatch_p99_s=dispatch[min(int(0.99 * len(dispatch)), len(dispatch) - 1)],
    )
