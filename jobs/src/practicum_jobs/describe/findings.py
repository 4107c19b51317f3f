"""What records say of a deployment: measured capacity, faults that were tried, known weaknesses, alerts. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from practicum_core.deployment import Alert, Capacity, RungMeasured, Tried, Words
from practicum_core.rungs import Rung
from practicum_core.stages.experiments import ExperimentResult, ExperimentsRecord, Verdict
from practicum_core.stages.loadtest import LoadtestRecord, Objective
from practicum_core.stages.replays import ReplaysRecord, ReplayVerdict
from practicum_core.texts import Bilingual
from practicum_jobs.load.alerts import RULES, AlertRule

_VERDICTS: Mapping[Verdict, Bilingual] = {
    Verdict.HELD: Bilingual("held", "经受住"),
    Verdict.DEVIATED: Bilingual("did not hold", "未经受住"),
    Verdict.NOT_STEADY: Bilingual("not tried: not steady before", "未试验：起始不稳定"),
    Verdict.NOT_UNDONE: Bilingual("could not be taken back", "未能撤销"),
    Verdict.BROKEN_OFF: Bilingual("not known: an error ended the experiment", "未知：实验因错误中断"),
}
_DEVIATED = Bilingual("{title}: the service did not hold ({missed})", "{title}：服务未经受住（{missed}）")
_UNTRIED = Bilingual("{title}: not known, the service was not steady before", "{title}：未知，试验前服务不稳定")
_BROKEN_OFF = Bilingual("{title}: not known, an error ended the experiment", "{title}：未知，实验因错误中断")
_UNLIKE = Bilingual(
    "{num} of {total} replays of the same fault went another way: what the service does in it is not settled",
    "同一故障的 {total} 次重放中有 {num} 次不一致：服务在该故障中的行为不稳定",
)
_UNCOMPARED = Bilingual(
    "{num} of {total} replays of the same fault prove nothing: this machine sent their requests too late",
    "同一故障的 {total} 次重放中有 {num} 次不能作为依据：本机未能按时发送请求",
)
_ONE_ENGINE = Bilingual(
    "there is one engine: while it is out, no request is answered in full, for {back_s:.0f} s at the longest here",
    "只有一个推理引擎：其不可用期间没有完整回答，本次最长 {back_s:.0f} 秒",
)
_BEYOND = Bilingual(
    "beyond {rate} requests/s the SLO is missed; the first bottleneck is {name}",
    "超过每秒 {rate} 个请求即不满足 SLO；首个瓶颈为 {name}",
)
_NO_ALARM = Bilingual(
    "alerts are computed from recorded traffic here; nobody is called without Prometheus",
    "此处告警由录制流量计算；没有 Prometheus 时不会通知任何人",
)
_ALERTS: Mapping[str, Bilingual] = {
    "errors_burn": Bilingual(
        "requests are not answered, faster than the error budget allows", "未得到回答的请求消耗错误预算过快"
    ),
    "degraded_burn": Bilingual("requests are not answered in full", "未得到完整回答的请求过多"),
}


def build_capacity(run: str, record: LoadtestRecord) -> Capacity:
    """Build the capacity that a load test measured."""
    knee = record.knee_rate
    return Capacity(
        run=run,
        model=record.model,
        rate=knee.value if knee else None,
        low=knee.low if knee else None,
        high=knee.high if knee else None,
        objective=describe_objective(record.objective),
        bottleneck=record.bottleneck.name.replace("_", " ") if record.bottleneck else "unknown",
    )


def describe_objective(objective: Objective) -> Words:
    """Describe an SLO in a few words.

    >>> describe_objective(Objective(ttft_s=2.0)).en
    '95% of requests: first token within 2 s'
    """
    limits = (
        (objective.ttft_s, "first token within {} s", "首个词元 {} 秒内"),
        (objective.tpot_s, "{} s a further token", "后续每词元 {} 秒内"),
        (objective.e2e_s, "whole answer within {} s", "完整回答 {} 秒内"),
    )
    en = ", ".join(text.format(f"{value:g}") for value, text, _ in limits if value is not None)
    zh = "、".join(text.format(f"{value:g}") for value, _, text in limits if value is not None)
    return Words(en=f"{objective.share:.0%} of requests: {en}", zh=f"{objective.share:.0%} 的请求：{zh}")


def list_tried(records: Sequence[ExperimentsRecord]) -> list[Tried]:
    """List the experiments that were made; replays are none."""
    return [
        Tried(
            title=Words(en=one.title_en, zh=one.title_zh),
            verdict=Words.of(_VERDICTS[one.verdict]),
            is_held=one.verdict is Verdict.HELD,
            back_s=one.back_s,
        )
        for one in _list_results(records)
    ]


def list_rungs(rungs: Sequence[Rung], records: Sequence[ExperimentsRecord]) -> list[RungMeasured]:
    """List the rungs of the ladder with what their answers took in faults."""
    uses = {use.rung: use for record in records if not _is_replay(record) for use in record.rungs}
    return [
        RungMeasured(
            rung=rung,
            num_requests=uses[rung].num_requests if rung in uses else 0,
            e2e_p50_s=uses[rung].e2e_p50_s if rung in uses else None,
            e2e_p95_s=uses[rung].e2e_p95_s if rung in uses else None,
        )
        for rung in rungs
    ]


def list_weaknesses(
    records: Sequence[ExperimentsRecord], capacity: Capacity | None, num_engines: int, *, has_alarm: bool
) -> list[Words]:
    """List what is known to be weak: by experiments, by load tests, and by what runs.

    Args:
        records: Of experiments and replays.
        capacity: What a load test measured.
        num_engines: How many engines run.
        has_alarm: Whether somebody is called by alerts.
    """
    found = []
    for one in _list_results(records):
        title = Bilingual(one.title_en, one.title_zh)
        if one.verdict in (Verdict.DEVIATED, Verdict.NOT_UNDONE):
            missed = "; ".join(each.name for each in one.findings if not each.is_met) or one.verdict
            found.append(_DEVIATED.format(title=title, missed=missed.replace("_", " ")))
        elif one.verdict is Verdict.NOT_STEADY:
            found.append(_UNTRIED.format(title=title))
        elif one.verdict is Verdict.BROKEN_OFF:
            found.append(_BROKEN_OFF.format(title=title))
    found += _list_replay_weaknesses(records)
    backs = [one.back_s for one in _list_results(records) if one.back_s is not None]
    if num_engines == 1 and backs:
        found.append(_ONE_ENGINE.format(back_s=max(backs)))
    if capacity is not None and capacity.rate is not None and capacity.bottleneck != "none":
        found.append(_BEYOND.format(rate=f"{capacity.rate:g}", name=capacity.bottleneck))
    if not has_alarm:
        found.append(_NO_ALARM)
    return [Words.of(text) for text in found]


def _list_replay_weaknesses(records: Sequence[ExperimentsRecord]) -> list[Bilingual]:
    """List what replays say: that the service did something else in the same fault, or that nobody knows."""
    replays = [one for record in records if isinstance(record, ReplaysRecord) for one in record.replays]
    verdicts = Counter(one.verdict for one in replays)
    texts = ((ReplayVerdict.DIFFERS, _UNLIKE), (ReplayVerdict.NOT_COMPARABLE, _UNCOMPARED))
    return [text.format(num=verdicts[verdict], total=len(replays)) for verdict, text in texts if verdicts[verdict]]


def list_alerts(rules: Sequence[AlertRule] = RULES) -> list[Alert]:
    """List the alerts that are computed from recorded traffic."""
    return [
        Alert(
            name=rule.name,
            rule=f"{'|'.join(sorted(rule.outcomes))} > {rule.budget * rule.burn_rate:.1%} "
            f"over {rule.long_s:g} s and {rule.short_s:g} s",
            summary=Words.of(_ALERTS[rule.name]),
        )
        for rule in rules
    ]


def _list_results(records: Sequence[ExperimentsRecord]) -> list[ExperimentResult]:
    return [one for record in records if not _is_replay(record) for one in record.results]


def _is_replay(record: ExperimentsRecord) -> bool:
    return isinstance(record, ReplaysRecord) and bool(record.recording)
