"""Where a run stands, in the language of its reader."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from practicum_cli.commands.inspect import status as command
from practicum_cli.standing import LANGUAGES, Standing, describe_standing
from practicum_core.errors import Reason
from practicum_core.gates import GateResult
from practicum_core.phases import Phase
from practicum_core.state_texts import PHASE_NAMES, REASONS
from practicum_core.weekjob import QueueStatus, StageStatus, WeekJobStatus

SAID = "the GPU budget of this week is spent: 10.2 of 10 GPU hours used"
WAITS = WeekJobStatus(
    phase=Phase.QUEUED,
    reason=Reason.BUDGET_EXCEEDED,
    message=f"sft: {SAID}",
    stages=[StageStatus(name="sft", phase=Phase.SUSPENDED, progress=0.5)],
    queue=QueueStatus(position=2, eta_seconds=600),
    gates=[GateResult(name="improves", passed=False, threshold=0.2)],
)


def show(language):
    standing = Standing("sft", "week-03", "student-01/week-03", PHASE_NAMES[WAITS.phase], WAITS)
    return describe_standing(standing, language)


def test_a_chinese_reader_is_told_state_reason_and_place_in_chinese():
    text = show("zh")
    assert text.startswith(f"student-01/week-03: 排队中，sft: {SAID}\n步骤 ")
    assert "已暂停" in text
    assert "原因 BudgetExceeded：学生的 GPU 时数已用完" in text
    assert "排队：前面还有 2 个，预计等待 10 分钟" in text
    assert "门槛未通过：improves (无, 0.2)" in text


def test_an_english_reader_is_told_what_the_reason_means():
    text = show("en")
    assert text.startswith(f"student-01/week-03: Queued, sft: {SAID}\nSTEP ")
    assert f"reason BudgetExceeded: {REASONS[Reason.BUDGET_EXCEEDED].en}" in text


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("reason", Reason)
def test_every_reason_is_told(reason, language):
    standing = Standing("sft", "r", "r", "Failed", WeekJobStatus(phase=Phase.FAILED, reason=reason))
    assert getattr(REASONS[reason], language) in describe_standing(standing, language)


@pytest.mark.parametrize(
    ("variables", "arguments", "header"),
    [
        ({"LC_ALL": "zh_CN.UTF-8"}, [], "单元"),
        ({"LC_ALL": "C.UTF-8", "LANG": "zh_CN.UTF-8"}, [], "UNIT"),
        ({"LC_ALL": "C.UTF-8"}, ["--lang", "zh"], "单元"),
        ({"LC_ALL": "zh_CN.UTF-8"}, ["--lang", "en"], "UNIT"),
    ],
)
def test_the_language_is_the_locales_or_the_one_that_is_asked_for(variables, arguments, header, tmp_path):
    (tmp_path / "sft" / "20260102t030405-abcdef").mkdir(parents=True)
    shown = CliRunner().invoke(command, ["--out", str(tmp_path), *arguments], env=variables)
    assert (shown.exit_code, shown.output.split()[0]) == (0, header)
