"""What an experiment came to: its requests by outcome, its findings, its verdict and the time line. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from enum import StrEnum

from practicum_core.rungs import Rung, RungChange
from practicum_core.stages.experiments import ExperimentResult, Finding, RungUse, Settings, TimePoint, Verdict
from practicum_core.stages.load_results import LoadSample
from practicum_jobs.load.quantile import find_quantile

_OWN_SHAPE = ('{"error"', '{"message"')
"""How the body of an error of OpenAI's API begins, and such an error inside a stream."""
_TAIL = 0.99


class Outcome(StrEnum):
    """What a client got."""

    FULL = "full"
    DEGRADED = "degraded"
    ERROR = "error"
    """An error of the API's shape, which says what to do."""
    LOST = "lost"
    """No answer and no such error: a connection that ends, an answer that never does, or bytes that mean nothing."""


def classify(sample: LoadSample) -> Outcome:
    """Return what a client got.

    >>> classify(LoadSample(load=0, rate=1, scheduled_s=0, sent_s=0, ended_s=1, error="lost")).value
    'lost'
    """
    if sample.is_ok:
        return Outcome.DEGRADED if sample.rung else Outcome.FULL
    return Outcome.ERROR if sample.error_text.startswith(_OWN_SHAPE) else Outcome.LOST


def count_returns(changes: Sequence[RungChange]) -> int:
    """Return how often the ladder went up from the rung that it left upwards most often.

    >>> pairs = (("full", "short"), ("short", "full"), ("full", "short"), ("short", "full"))
    >>> count_returns([RungChange(at_s=0, before=before, after=after, reason="") for before, after in pairs])
    2
    """
    ups = Counter(change.before for change in changes if change.after.depth < change.before.depth)
    return max(ups.values(), default=0)


def list_unlike_repeats(results: Sequence[ExperimentResult]) -> list[str]:
    """List the experiments that were made several times and moved the ladder in different steps.

    The steps are compared in their order, by the rungs before and after; when they were made is not.
    """
    seen: dict[str, set[tuple[tuple[Rung, Rung], ...]]] = {}
    for result in results:
        steps = tuple((change.before, change.after) for change in result.changes)
        seen.setdefault(result.name, set()).add(steps)
    return sorted(name for name, ways in seen.items() if len(ways) > 1)


def find_tail_s(samples: Sequence[LoadSample]) -> float:
    """Return the time in which 99 of 100 requests ended, well or not, from their schedule; 0 for none.

    >>> find_tail_s([LoadSample(load=0, rate=1, scheduled_s=1, sent_s=1, ended_s=3.5)])
    2.5
    """
    ends = sorted(sample.e2e_s for sample in samples)
    return find_quantile(ends, _TAIL) if ends else 0.0


def list_findings(
    samples: Sequence[LoadSample], changes: Sequence[RungChange], last_rung: Rung | None, settings: Settings
) -> list[Finding]:
    """List what was found against what must be.

    Args:
        samples: Requests of the experiment.
        changes: Steps of the ladder in it.
        last_rung: The rung at its end; ``None`` where the server has no ladder.
        settings: What is expected.
    """
    num_lost = sum(classify(sample) is Outcome.LOST for sample in samples)
    tail_s = find_tail_s(samples)
    of_clients = [
        Finding(name="lost", shown=str(num_lost), bound="0", is_met=num_lost == 0),
        Finding(
            name="end_p99",
            shown=f"{tail_s:.2f} s",
            bound=f"<= {settings.max_e2e_s:g} s",
            is_met=tail_s <= settings.max_e2e_s,
        ),
    ]
    if settings.min_answered:
        share = sum(sample.is_ok for sample in samples) / max(len(samples), 1)
        bound = settings.min_answered
        found = Finding(name="answered", shown=f"{share:.3f}", bound=f">= {bound:g}", is_met=share >= bound)
        of_clients.append(found)
    of_ladder = [] if last_rung is None else _list_ladder_findings(changes, last_rung, settings)
    return [of_clients[0], *of_ladder, *of_clients[1:]]


def _list_ladder_findings(changes: Sequence[RungChange], last_rung: Rung, settings: Settings) -> list[Finding]:
    deepest = max((change.after for change in changes), key=lambda rung: rung.depth, default=Rung.FULL)
    returns = count_returns(changes)
    findings = [
        Finding(name="ladder_back", shown=last_rung, bound=Rung.FULL, is_met=last_rung is Rung.FULL),
        Finding(name="returns", shown=str(returns), bound="<= 1", is_met=returns <= 1),
    ]
    if settings.lowest_rung is not Rung.FULL:
        is_down = deepest.depth >= settings.lowest_rung.depth
        findings.insert(0, Finding(name="ladder_down", shown=deepest, bound=settings.lowest_rung, is_met=is_down))
    if settings.deepest_rung is not Rung.APOLOGY:
        is_above = deepest.depth <= settings.deepest_rung.depth
        findings.append(Finding(name="ladder_kept", shown=deepest, bound=settings.deepest_rung, is_met=is_above))
    return findings


def decide_verdict(
    findings: Sequence[Finding], *, was_steady: bool, left_behind: Sequence[str], is_broken_off: bool = False
) -> Verdict:
    """Return the verdict: a fault that stays is worst, and without a steady state nothing can deviate."""
    if left_behind:
        return Verdict.NOT_UNDONE
    if is_broken_off:
        return Verdict.BROKEN_OFF
    if not was_steady:
        return Verdict.NOT_STEADY
    return Verdict.HELD if all(finding.is_met for finding in findings) else Verdict.DEVIATED


def measure_rungs(samples: Sequence[LoadSample]) -> list[RungUse]:
    """Measure what the answers of each rung took; of ``APOLOGY``, the errors that it is."""
    uses = []
    for rung in Rung:
        of_it = [one for one in samples if (one.rung or Rung.FULL) == rung and (one.is_ok or rung is Rung.APOLOGY)]
        if not of_it:
            continue
        first = sorted(one.ttft_s for one in of_it if one.ttft_s is not None)
        ends = sorted(one.e2e_s for one in of_it)
        uses.append(
            RungUse(
                rung=rung,
                num_requests=len(of_it),
                first_token_p50_s=round(find_quantile(first, 0.5), 4) if first else None,
                e2e_p50_s=round(find_quantile(ends, 0.5), 4),
                e2e_p95_s=round(find_quantile(ends, 0.95), 4),
            )
        )
    return uses


def find_depth(changes: Sequence[RungChange], at_s: float) -> int:
    """Return how far down the ladder was at a moment."""
    before = [change for change in changes if change.at_s <= at_s]
    return before[-1].after.depth if before else (changes[0].before.depth if changes else 0)


def build_timeline(samples: Sequence[LoadSample], changes: Sequence[RungChange], end_s: float) -> list[TimePoint]:
    """Build the time line, one point a second.

    Args:
        samples: All requests; each counts in the second in which it ended, and as sent in that of its schedule.
        changes: All steps of the ladder, in order; times are seconds from the start of the stage.
        end_s: Of the stage.
    """
    sent = Counter(int(sample.scheduled_s) for sample in samples)
    ended = Counter((int(sample.ended_s), classify(sample)) for sample in samples)
    return [
        TimePoint(
            at_s=second,
            num_sent=sent[second],
            num_full=ended[second, Outcome.FULL],
            num_degraded=ended[second, Outcome.DEGRADED],
            num_failed=ended[second, Outcome.ERROR] + ended[second, Outcome.LOST],
            depth=max(find_depth(changes, second), find_depth(changes, second + 0.999)),
        )
        for second in range(int(end_s) + 1)
    ]
