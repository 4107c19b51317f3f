"""The description of a running deployment as a value, and its document in English and Chinese from one source. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from practicum_core.rungs import RUNG_TITLES, Rung
from practicum_core.texts import Bilingual, Text

Language = Literal["en", "zh"]
LANGUAGES: tuple[Language, ...] = ("en", "zh")


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Words(_Part):
    """A text in both languages, in a record."""

    en: str
    zh: str

    @classmethod
    def of(cls, text: Text) -> Words:
        """Build it; a plain text is the same in both languages."""
        return cls(en=text, zh=text) if isinstance(text, str) else cls(en=text.en, zh=text.zh)

    def pick(self, language: Language) -> str:
        """Return one language."""
        return self.zh if language == "zh" else self.en


class Limit(_Part):
    """A limit or a threshold of a component."""

    title: Words
    value: str


class Component(_Part):
    """A server of the deployment."""

    name: str
    title: Words
    url: str = ""
    state: Words
    is_ready: bool
    versions: dict[str, str] = Field(default_factory=dict, description="Of the packages or images that it runs.")
    ready_path: str = ""
    live_path: str = ""
    startup_s: float = 0.0
    limits: list[Limit] = Field(default_factory=list)


class Capacity(_Part):
    """What a load test measured."""

    run: str = Field(description="As UNIT/RUN_ID.")
    model: str
    rate: float | None = Field(description="Highest rate within the SLO; none where no rate met it.")
    low: float | None = None
    high: float | None = None
    objective: Words
    bottleneck: str


class RungMeasured(_Part):
    """A rung of the ladder, and what its answers took in the faults of this run."""

    rung: Rung
    num_requests: int = 0
    e2e_p50_s: float | None = None
    e2e_p95_s: float | None = None


class Tried(_Part):
    """An experiment that was made on the deployment."""

    title: Words
    verdict: Words
    is_held: bool
    back_s: float | None = None


class Alert(_Part):
    """When somebody is told."""

    name: str
    rule: str
    summary: Words


class Deployment(_Part):
    """A deployment as it ran when it was asked."""

    subject: str = Field(description="Run or namespace.")
    made_at: str
    version: str = Field(description="Of Practicum.")
    machine: str
    components: list[Component]
    rungs: list[RungMeasured] | None = Field(
        default_factory=list, description="Of the ladder, best first; none without one, null where nobody was asked."
    )
    capacity: Capacity | None = None
    tried: list[Tried] | None = Field(default_factory=list, description="Null where nobody was asked.")
    weaknesses: list[Words] = Field(default_factory=list)
    alerts: list[Alert] | None = Field(default_factory=list, description="Null where nobody was asked.")


TEXTS: Mapping[str, Bilingual] = {
    "title": Bilingual("Deployment {subject}", "部署说明：{subject}"),
    "made": Bilingual(
        "Made at {made_at} from what ran then, with Practicum {version} on {machine}.",
        "{made_at} 根据当时实际运行的内容生成，Practicum {version}，机器：{machine}。",
    ),
    "components": Bilingual("Components", "组件"),
    "component": Bilingual("Component", "组件"),
    "does": Bilingual("What it does", "作用"),
    "address": Bilingual("Address", "地址"),
    "state": Bilingual("State", "状态"),
    "versions": Bilingual("Versions", "版本"),
    "probes": Bilingual("Probes", "探针"),
    "probe": Bilingual(
        "ready: {ready}; alive: {live}; {startup} s to become ready",
        "就绪：{ready}；存活：{live}；启动时限 {startup} 秒",
    ),
    "limits": Bilingual("Limits of {name}", "{name} 的限制"),
    "all_limits": Bilingual("Limits of each component", "各组件的限制"),
    "limit": Bilingual("Limit", "限制"),
    "value": Bilingual("Value", "值"),
    "ladder": Bilingual("Degradation ladder", "降级阶梯"),
    "rung": Bilingual("Rung", "级别"),
    "requests": Bilingual("Requests in faults", "故障期间的请求"),
    "median": Bilingual("Median time", "耗时中位数"),
    "p95": Bilingual("95 of 100", "p95"),
    "no_ladder": Bilingual(
        "There is none: while the engine is in trouble, requests fail.", "没有：推理引擎出问题时请求会失败。"
    ),
    "capacity": Bilingual("Measured capacity", "实测容量"),
    "measured": Bilingual(
        "{rate} requests/s within the SLO ({objective}); surely {low}, at most {high}. Above it, the first bottleneck "
        "is {bottleneck}. Model {model}, run {run}.",
        "在 SLO（{objective}）内每秒 {rate} 个请求；确定可达 {low}，至多 {high}。"
        "超过后首个瓶颈为 {bottleneck}。模型 {model}，运行 {run}。",
    ),
    "no_rate": Bilingual(
        "No rate met the SLO ({objective}). Model {model}, run {run}.",
        "没有速率达到 SLO（{objective}）。模型 {model}，运行 {run}。",
    ),
    "not_measured": Bilingual(
        "Not measured: there is no finished load test of this model on this engine.",
        "未测量：没有针对该模型与该引擎的已完成压测。",
    ),
    "tried": Bilingual("Faults that were tried", "已试验的故障"),
    "fault": Bilingual("Fault", "故障"),
    "verdict": Bilingual("Verdict", "结论"),
    "back": Bilingual("Until full answers", "恢复完整回答"),
    "untried": Bilingual("None was tried.", "未做试验。"),
    "weaknesses": Bilingual("Known weaknesses", "已知弱点"),
    "none_known": Bilingual("None is known from what was tried.", "就已试验的内容而言，没有已知弱点。"),
    "alerts": Bilingual("Alerts", "告警"),
    "alert": Bilingual("Alert", "告警"),
    "rule": Bilingual("Fires while", "触发条件"),
    "means": Bilingual("Meaning", "含义"),
    "no_alerts": Bilingual("None.", "无。"),
    "unasked": Bilingual(
        "The objects of a cluster do not say it; the evidence pack of the week does.",
        "集群中的对象不包含此项；见该周的证据包。",
    ),
}


def write_document(deployment: Deployment, language: Language) -> str:
    """Write the document in one language, as Markdown."""
    writer = _Writer(deployment, language)
    return "\n".join(writer.build()) + "\n"


def describe_capacity(capacity: Capacity | None) -> Bilingual:
    """Say what a load test measured.

    >>> describe_capacity(None).en
    'Not measured: there is no finished load test of this model on this engine.'
    """
    if capacity is None:
        return TEXTS["not_measured"]
    values = {
        "run": capacity.run,
        "model": capacity.model,
        "objective": Bilingual(capacity.objective.en, capacity.objective.zh),
        "bottleneck": capacity.bottleneck,
        "rate": "–" if capacity.rate is None else f"{capacity.rate:g}",
        "low": "–" if capacity.low is None else f"{capacity.low:g}",
        "high": "–" if capacity.high is None else f"{capacity.high:g}",
    }
    return TEXTS["no_rate" if capacity.rate is None else "measured"].format(**values)


class _Writer:
    def __init__(self, deployment: Deployment, language: Language) -> None:
        self._deployment = deployment
        self._language: Language = language

    def build(self) -> list[str]:
        one = self._deployment
        lines = [f"# {self._say('title', subject=one.subject)}", ""]
        lines += [self._say("made", made_at=one.made_at, version=one.version, machine=one.machine), ""]
        lines += self._build_components()
        lines += self._build_ladder()
        lines += ["", f"## {self._say('capacity')}", self._pick(describe_capacity(one.capacity))]
        lines += self._build_tried()
        lines += ["", f"## {self._say('weaknesses')}"]
        lines += [f"- {words.pick(self._language)}" for words in one.weaknesses] or [self._say("none_known")]
        lines += ["", f"## {self._say('alerts')}"]
        rows = [[each.name, f"`{each.rule}`", each.summary.pick(self._language)] for each in one.alerts or ()]
        return lines + self._build_list(("alert", "rule", "means"), rows, one.alerts, "no_alerts")

    def _build_list(
        self, columns: Sequence[str], rows: Sequence[Sequence[str]], found: Sequence[object] | None, empty: str
    ) -> list[str]:
        """Build a table, or say that nothing is there or that nobody was asked."""
        return self._table(columns, rows) if rows else [self._say("unasked" if found is None else empty)]

    def _build_components(self) -> list[str]:
        rows = [
            [one.name, one.title.pick(self._language), one.url or "–", one.state.pick(self._language),
             ", ".join(f"{name} {version}" for name, version in one.versions.items()) or "–",
             self._say("probe", ready=one.ready_path, live=one.live_path, startup=f"{one.startup_s:g}")
             if one.ready_path else "–"]
            for one in self._deployment.components
        ]  # fmt: skip
        lines = [f"## {self._say('components')}"]
        lines += self._table(("component", "does", "address", "state", "versions", "probes"), rows)
        for one in self._deployment.components:
            if one.limits:
                lines += ["", f"### {self._say('limits', name=one.name)}"]
                lines += self._table(
                    ("limit", "value"), [[each.title.pick(self._language), each.value] for each in one.limits]
                )
        return lines

    def _build_ladder(self) -> list[str]:
        lines = ["", f"## {self._say('ladder')}"]
        found = self._deployment.rungs
        rows = [
            [Words.of(RUNG_TITLES[one.rung]).pick(self._language), str(one.num_requests or "–"),
             *("–" if value is None else f"{value:.2f} s" for value in (one.e2e_p50_s, one.e2e_p95_s))]
            for one in found or ()
        ]  # fmt: skip
        return lines + self._build_list(("rung", "requests", "median", "p95"), rows, found, "no_ladder")

    def _build_tried(self) -> list[str]:
        lines = ["", f"## {self._say('tried')}"]
        rows = [
            [one.title.pick(self._language), one.verdict.pick(self._language),
             "–" if one.back_s is None else f"{one.back_s:.1f} s"]
            for one in self._deployment.tried or ()
        ]  # fmt: skip
        return lines + self._build_list(("fault", "verdict", "back"), rows, self._deployment.tried, "untried")

    def _say(self, key: str, /, **values: object) -> str:
        return self._pick(TEXTS[key].format(**values))

    def _pick(self, text: Bilingual) -> str:
        return text.zh if self._language == "zh" else text.en

    def _table(self, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
        head = [self._say(name) for name in columns]
        cells = [[cell.replace("|", "\\|").replace("\n", " ") for cell in row] for row in (head, *rows)]
        lines = [f"| {' | '.join(row)} |" for row in cells]
        return [lines[0], "|" + "---|" * len(columns), *lines[1:]]
