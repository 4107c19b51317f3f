"""Steps of the present run compared with the step of a week that they repeat."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from practicum_core.agreement import Agreement, Execution, Finding, compare_executions, is_of_machine
from practicum_core.errors import ConfigError
from practicum_core.metrics import Metric
from practicum_core.stages import STAGES, StageSpec
from practicum_core.stages.base import Failure, get_uri_kind, list_reuse_options
from practicum_core.stages.capstone import RerunCheck, parse_rerun
from practicum_core.step_files import read_record
from practicum_jobs.capstone.weeks import Week, read_options

_SHOWN = 10


@dataclass(frozen=True)
class Tolerances:
    """How far a repeated step may differ.

    Attributes:
        relative: Of a metric, relative to the larger of 1 and its recorded size.
        speed_ratio: Of two figures of the machine, the larger divided by the smaller, at the nearest ends of their
            intervals.
    """

    relative: float
    speed_ratio: float


def check_reruns(
    wanted: Sequence[str], weeks: Sequence[Week], now: Week, tolerances: Tolerances
) -> tuple[list[RerunCheck], list[Failure]]:
    """Compare every repeated step with its record; also return what differs, in sentences.

    Raises:
        ConfigError: A step is paired with one of no week.
        DataError: A record or configuration is missing or broken.
    """
    checks: list[RerunCheck] = []
    failures: list[Failure] = []
    for text in wanted:
        step, unit, of = parse_rerun(text)
        week = _find(text, unit, weeks)
        check, found = _check(Execution(now.layout, step), week, of, now, tolerances)
        checks.append(check)
        failures += found
    return checks, failures


def _find(text: str, unit: str, weeks: Sequence[Week]) -> Week:
    week = next((one for one in weeks if one.has_content_of(unit)), None)
    if week is None:
        named = ", ".join(one.unit for one in weeks)
        raise ConfigError(f"capstone.reruns: {text}: no such week among {named}", "say STEP=UNIT/STEP of one of them")
    return week


def _check(
    executed: Execution, week: Week, of: str, now: Week, tolerances: Tolerances
) -> tuple[RerunCheck, list[Failure]]:
    where = f"{week.name}/{of}"
    options = _compare_options(executed, week, of, now)
    findings, _ = compare_executions(Execution(week.layout, of), executed, tolerances.relative)
    # A record says its model as the options do; those are compared by content, and runs may be named in several ways.
    named_runs = _list_uri_options(executed)
    findings = [one for one in findings if one.name not in named_runs]
    speeds = _compare_speeds(Execution(week.layout, of), executed, tolerances.speed_ratio)
    differing = [one for one in findings if one.decides and one.agreement is Agreement.DIFFERENT]
    named = [*options, *(f"{one.name}: {one.recorded} -> {one.executed}".rstrip(": >-") for one in differing), *speeds]
    if named:
        agreement = Agreement.DIFFERENT
    else:
        # Where speeds alone were compared, they lie within their ratio: nothing was found to be equal.
        is_equal = bool(findings) and all(one.agreement is Agreement.EQUAL for one in findings)
        agreement = Agreement.EQUAL if is_equal else Agreement.CLOSE
    check = RerunCheck(
        step=executed.step,
        of=where,
        agreement=agreement,
        num_compared=len(findings),
        differences=named[:_SHOWN],
    )
    return check, _explain(where, options, differing, speeds)


def _explain(where: str, options: Sequence[str], differing: Sequence[Finding], speeds: Sequence[str]) -> list[Failure]:
    failures = [Failure(kind="options_differ", where=where, text="; ".join(options[:_SHOWN]))] if options else []
    figures = [*(f"{one.name} {one.recorded} -> {one.executed}".rstrip(" ->") for one in differing), *speeds]
    if figures:
        failures.append(Failure(kind="rerun_differs", where=where, text="; ".join(figures[:_SHOWN])))
    return failures


def _list_uri_options(executed: Execution) -> set[str]:
    fields = STAGES[read_record(executed.run, executed.step).stage].config.model_fields
    return {name for name, field in fields.items() if get_uri_kind(field)}


def _compare_options(executed: Execution, week: Week, of: str, now: Week) -> list[str]:
    """Name the options in which the two executions differ; a reference counts by the content that it stands for."""
    record = read_record(executed.run, executed.step)
    config = STAGES[record.stage].config
    before, after = read_options(week.layout, of), read_options(executed.run, executed.step)
    differences = []
    for name in sorted({*before, *after} - set(list_reuse_options(config))):
        left, right = before.get(name), after.get(name)
        field = config.model_fields.get(name)
        if field is not None and get_uri_kind(field) and isinstance(left, str) and isinstance(right, str):
            left = week.lineage.find_hash(left) or left
            right = now.lineage.find_hash(right) or right
        if left != right:
            differences.append(f"{name}: {left} -> {right}")
    return differences


def _compare_speeds(recorded: Execution, executed: Execution, ratio: float) -> list[str]:
    """Name the key figures of the machine that surely differ by more than a ratio."""
    before, after = (read_record(one.run, one.step) for one in (recorded, executed))
    spec = STAGES[after.stage]
    present = {metric.name: metric for metric in after.metrics}
    return [
        f"{one.name}: {one.value:.4g} -> {present[one.name].value:.4g} {one.unit} (surely more than {ratio:g} times)"
        for one in before.metrics
        if one.name in present and _is_speed(spec, one) and is_surely_beyond(one, present[one.name], ratio)
    ]


def _is_speed(spec: StageSpec, metric: Metric) -> bool:
    """Whether a metric is a key figure of the machine."""
    title = spec.metrics.get(metric.name)
    if title is None or not title.is_key:
        return False
    if spec.measures_speed:
        return metric.name in spec.headlines or title.style == "seconds"
    return is_of_machine(metric.name, metric.unit)


def is_surely_beyond(one: Metric, other: Metric, ratio: float) -> bool:
    """Whether two figures differ by more than a ratio wherever in their 95% intervals the true values lie.

    An end that few requests leave open is open: of 24 latencies, the 95th percentile has no upper end.

    >>> one, other = Metric(name="ttft", value=0.3, low=0.2), Metric(name="ttft", value=0.7, low=0.6, high=0.9)
    >>> is_surely_beyond(one, other, 2), is_surely_beyond(one.model_copy(update={"high": 0.29}), other, 2)
    (False, True)
    """
    small, large = sorted((_get_interval(one), _get_interval(other)))
    return large[0] > ratio * small[1]


def _get_interval(metric: Metric) -> tuple[float, float]:
    """Return the interval of a figure that is no less than 0; its value where it has none."""
    if metric.low is None and metric.high is None:
        return abs(metric.value), abs(metric.value)
    return metric.low or 0.0, math.inf if metric.high is None else metric.high
