"""Texts of dossiers in both languages."""

from __future__ import annotations

from practicum_core.dossier_files import Axis, SearchVerdict, State, Verdict
from practicum_core.texts import Bilingual

B = Bilingual

STATES: dict[State, B] = {
    State.OPEN: B("Open", "未复现"),
    State.REPRODUCED: B("Reproduced", "已复现"),
    State.LOCATED: B("Cause located", "已定位"),
    State.CLOSED: B("Closed", "已关闭"),
}
HYPOTHESES: dict[Axis, B] = {
    Axis.ROWS: B("Some rows of the data cause it.", "由某些数据行引起。"),
    Axis.CONFIG: B("Some options cause it.", "由某些配置项引起。"),
    Axis.EDITS: B("Some of the latest changes to the code cause it.", "由近期的某些代码改动引起。"),
    Axis.COMMITS: B("A commit brought it in.", "由某次提交引入。"),
    Axis.PACKAGES: B("The versions of some packages cause it.", "由某些软件包的版本引起。"),
}
VERDICTS: dict[Verdict, B] = {
    Verdict.REPRODUCED: B("reproduced", "已复现"),
    Verdict.NOT_REPRODUCED: B("not reproduced", "未复现"),
    Verdict.FLAKY: B("flaky: equal executions differ", "不稳定：相同执行结果不同"),
}
SEARCH_VERDICTS: dict[SearchVerdict, B] = {
    SearchVerdict.FOUND: B("kept", "保留"),
    SearchVerdict.NOT_HERE: B("dropped", "排除"),
    SearchVerdict.FLAKY: B("undecided: flaky", "未定：不稳定"),
    SearchVerdict.UNCLEAR: B("undecided", "未定"),
}
RUNS = B("{bad} of {runs} executions showed the symptom", "{runs} 次执行中 {bad} 次出现该症状")
CAPTURED = B("captured from {source}", "取自 {source}")
HUNG = B("no end within {seconds} s; its threads stood at {places}", "{seconds} 秒内未结束；各线程停在 {places}")
EXECUTED = B("repro executed: {verdict}; {runs}", "执行复现：{verdict}；{runs}")
MINIMAL = B("minimal repro ({culprits}): {verdict}; {runs}", "最小复现（{culprits}）：{verdict}；{runs}")
SEARCHED = B(
    "search over {axis}: {verdict} after {trials} executions; {culprits}",
    "在 {axis} 上查找：{verdict}，共执行 {trials} 次；{culprits}",
)
NOTHING_NAMED = B("nothing named", "未指认")
CLOSED = B(
    "closed: the regression test fails without the fix and passes with it",
    "已关闭：回归测试在修复前失败、修复后通过",
)
REPRO_CHANGED = B("the repro was changed: all is measured anew", "复现程序已改动：全部重新测量")
FIX_CHANGED = B("fix or regression test was changed: no longer closed", "修复或回归测试已改动：不再视为关闭")
REFUSED = B("not closed: {problems}", "未关闭：{problems}")
