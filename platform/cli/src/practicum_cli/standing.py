"""Where runs stand, as text for a terminal in English or Chinese: one in full, many as a table. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from practicum_cli.tables import format_table
from practicum_core.gates import GateResult
from practicum_core.state_texts import PHASE_NAMES, REASONS
from practicum_core.texts import Bilingual, Text
from practicum_core.weekjob import QueueStatus, WeekJobStatus

Language = Literal["en", "zh"]
LANGUAGES: tuple[Language, ...] = ("en", "zh")
HEADER = ("UNIT", "RUN", "PHASE", "GATES", "MESSAGE")
_HEADER_ZH = ("单元", "运行", "阶段", "门槛", "说明")
_STEPS = {"en": ("STEP", "PHASE", "DONE", "SECONDS", "MESSAGE"), "zh": ("步骤", "状态", "进度", "秒", "说明")}
_REASON = Bilingual("reason {reason}: {text}", "原因 {reason}：{text}")
_QUEUE = Bilingual("queue: {n} ahead{wait}", "排队：前面还有 {n} 个{wait}")
_WAIT = Bilingual(", about {minutes} min to wait", "，预计等待 {minutes} 分钟")
_PASSED = Bilingual("gate passed: {name}", "门槛通过：{name}")
_FAILED = Bilingual("gate FAILED: {name}", "门槛未通过：{name}")
_NOTHING = Bilingual("nothing", "无")


@dataclass(frozen=True)
class Standing:
    """Where one run stands.

    Attributes:
        unit: Its unit.
        run: Its id, or its name on a cluster.
        title: How people name it.
        phase: Its phase in words.
        status: The rest. Its messages are in English: they hold what programs of others said.
    """

    unit: str
    run: str
    title: str
    phase: Text
    status: WeekJobStatus

    def to_row(self, language: Language = "en") -> Sequence[str]:
        """Return its cells under the header of the language."""
        gates = self.status.gates
        passed = f"{sum(gate.passed for gate in gates)}/{len(gates)}" if gates else ""
        return (self.unit, self.run, pick(self.phase, language), passed, self.status.message)


def choose_language(variables: Mapping[str, str]) -> Language:
    """Return the language of a terminal's reader, by the variables of the locale.

    >>> choose_language({"LANG": "zh_CN.UTF-8"}), choose_language({"LANG": "zh_CN.UTF-8", "LC_ALL": "C"})
    ('zh', 'en')
    """
    given = next(filter(None, (variables.get(name) for name in ("LC_ALL", "LC_MESSAGES", "LANG"))), "")
    return "zh" if given.lower().startswith("zh") else "en"


def pick(text: Text, language: Language) -> str:
    """Return a text in one language.

    >>> pick(Bilingual("Failed", "失败"), "zh"), pick("week-01", "zh")
    ('失败', 'week-01')
    """
    if isinstance(text, str):
        return text
    return text.zh if language == "zh" else text.en


def get_header(language: Language) -> Sequence[str]:
    """Return the header of the table of many runs."""
    return _HEADER_ZH if language == "zh" else HEADER


def describe_standing(standing: Standing, language: Language = "en") -> str:
    """Describe one run: its steps, what its reason means, its place in the queue, its gates."""
    status = standing.status
    rows = [
        [
            stage.name,
            pick(PHASE_NAMES[stage.phase], language),
            "" if stage.progress is None else f"{stage.progress:.0%}",
            "" if stage.duration_seconds is None else f"{stage.duration_seconds:.1f}",
            " ".join(filter(None, (stage.endpoint, stage.message))),
        ]
        for stage in status.stages
    ]
    comma = "，" if language == "zh" else ", "
    told = comma.join(filter(None, (pick(standing.phase, language), status.message)))
    lines = [f"{standing.title}: {told}", format_table(_STEPS[language], rows)]
    if status.reason is not None:
        lines.append(pick(_REASON.format(reason=status.reason.value, text=REASONS[status.reason]), language))
    if status.queue and status.queue.position is not None:
        lines.append(pick(_describe_queue(status.queue), language))
    lines += [
        f"{describe_gate(gate, language)} ({_show(gate, language)}, {gate.threshold:.4g})" for gate in status.gates
    ]
    return "\n".join(lines)


def describe_gate(gate: GateResult, language: Language = "en") -> str:
    """Say in a word whether a gate was passed."""
    return pick((_PASSED if gate.passed else _FAILED).format(name=gate.name), language)


def _show(gate: GateResult, language: Language) -> str:
    return pick(_NOTHING, language) if gate.value is None else f"{gate.value:.4g}"


def _describe_queue(queue: QueueStatus) -> Bilingual:
    """Say how many wait before it.

    >>> _describe_queue(QueueStatus(position=2, eta_seconds=600)).en
    'queue: 2 ahead, about 10 min to wait'
    """
    wait: Text = ""
    if queue.eta_seconds is not None:
        wait = _WAIT.format(minutes=max(round(queue.eta_seconds / 60), 1))
    return _QUEUE.format(n=queue.position, wait=wait)
