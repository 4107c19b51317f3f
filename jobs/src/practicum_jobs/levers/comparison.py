"""Compares measurements that were taken in turn: the ratio to the baseline of the same round, and a verdict. Pure.

A round measures the baseline and every lever once, each in a process of its own. Figures of one round share the state
of the machine, so the ratio within a round is compared, not the mean over rounds. The rounds are the sample: the steps
within a measurement are not independent and count as one.
"""

from __future__ import annotations

import math
import random
import statistics
from collections.abc import Mapping, Sequence

from practicum_core.stages.levers import BASELINE, CONTROL, LeverRow, Ratio, Verdict
from practicum_jobs.scoring.multiplicity import adjust

SIGNIFICANT = 0.05
Round = Mapping[str, Mapping[str, float]]
"""Figures by name of the lever."""


def plan_order(names: Sequence[str], num_rounds: int, seed: int) -> list[list[str]]:
    """Return the order of each round, drawn anew, so that no lever always follows the same one.

    >>> [sorted(names) for names in plan_order(["a", "b"], 2, seed=1)]
    [['a', 'b'], ['a', 'b']]
    """
    generator = random.Random(seed)  # noqa: S311 - an order, no secret
    return [generator.sample(list(names), len(names)) for _ in range(num_rounds)]


def estimate_ratio(baseline: Sequence[float], lever: Sequence[float]) -> tuple[Ratio, float]:
    """Return the geometric mean of the ratios with its 95% t interval, and the p-value of a ratio of 1.

    Source: paired t test on logarithms (Jain, The Art of Computer Systems Performance Analysis, 1991, section 13.4.1).

    >>> ratio, p = estimate_ratio([10.0, 11.0, 10.5], [20.0, 22.2, 21.1])
    >>> round(ratio.value, 3), ratio.low < 2 < ratio.high, p < 0.001
    (2.009, True, True)
    """
    from scipy import stats  # noqa: PLC0415 - the import takes a second

    logs = [math.log(after / before) for before, after in zip(baseline, lever, strict=True)]
    mean = statistics.fmean(logs)
    error = statistics.stdev(logs) / math.sqrt(len(logs))
    half = float(stats.t.ppf(0.975, len(logs) - 1)) * error
    p = float(2 * stats.t.sf(abs(mean) / error, len(logs) - 1)) if error else float(mean == 0)
    return Ratio(value=math.exp(mean), low=math.exp(mean - half), high=math.exp(mean + half)), p


def build_rows(names: Sequence[str], rounds: Sequence[Round], deciding: str) -> list[LeverRow]:
    """Build the lines of the table: medians, ratios, and the verdict on the deciding figure, of which more is better.

    A lever that a round lacks is compared in the rounds that have it; with fewer than two it is not measured.
    The p-values are corrected for all levers; the control, of which no change is claimed, is not among them.

    Args:
        names: Baseline, control and levers, in the order of the table.
        rounds: What was measured.
        deciding: The figure that the verdict is on.
    """
    found = {name: _compare(name, rounds, deciding) for name in names}
    levers = [name for name in names if name not in (BASELINE, CONTROL) and found[name][1] is not None]
    adjusted = dict(zip(levers, adjust([found[name][1] or 0.0 for name in levers]), strict=True))
    control_p = found[CONTROL][1] if CONTROL in found else None
    if control_p is not None:
        adjusted[CONTROL] = control_p
    rows = []
    for name in names:
        row, p = found[name][0], adjusted.get(name)
        rows.append(row if p is None else row.model_copy(update=_decide(row.ratios[deciding], p)))
    return rows


def _decide(ratio: Ratio, p: float) -> dict[str, object]:
    verdict: Verdict = "undecided"
    if p < SIGNIFICANT:
        verdict = "better" if ratio.value > 1 else "worse"
    return {"p_adjusted": p, "verdict": verdict}


def _compare(name: str, rounds: Sequence[Round], deciding: str) -> tuple[LeverRow, float | None]:
    """Return a line without its verdict, and the p-value of the deciding figure; ``None`` where it has none."""
    own = [one for one in rounds if name in one]
    both = [one for one in own if BASELINE in one]
    names = list(own[0][name]) if own else []
    medians = {key: statistics.median(one[name][key] for one in own) for key in names}
    row = LeverRow(name=name, num_rounds=len(own), figures=medians)
    if name == BASELINE or len(both) < 2:  # noqa: PLR2004 - an interval needs two
        return row, None
    ratios, p_values = {}, {}
    for key in names:
        before, after = ([one[which][key] for one in both] for which in (BASELINE, name))
        if min(*before, *after) > 0:
            ratios[key], p_values[key] = estimate_ratio(before, after)
    return row.model_copy(update={"ratios": ratios}), p_values.get(deciding)
