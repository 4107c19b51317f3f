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
NOT_EXECUTED = B("the repro was not executed yet: `practicum dossier run`", "复现程序尚未执行：`practicum dossier run`")
NOT_ALWAYS = B(
    "{bad} of {runs} executions of the repro showed the symptom, not all of them",
    "复现程序 {runs} 次执行中只有 {bad} 次出现该症状",
)
SEARCH_FLAKY = B("the search over {axis} was flaky", "在 {axis} 上的查找不稳定")
NO_CAUSE = B("no cause was found yet: `practicum dossier bisect`", "尚未找到原因：`practicum dossier bisect`")
NO_FIX = B(
    "the fix changes nothing: put what it changes into the folder fix/",
    "修复没有改动任何内容：请将改动的文件放入 fix/ 文件夹",
)
NO_TEST = B(
    "there is no regression test: put test_*.py with unittest.TestCase classes into the folder regression/",
    "没有回归测试：请将含 unittest.TestCase 类的 test_*.py 放入 regression/ 文件夹",
)
TEST_BROKEN = B(
    "the regression test cannot be run without the fix ({tests}: {text})",
    "没有修复时无法运行回归测试（{tests}：{text}）",
)
FLAKY_BEFORE = B(
    "the regression test ends differently from run to run without the fix", "没有修复时，回归测试每次的结果不同"
)
GREEN_BEFORE = B(
    "the regression test passes without the fix, so it does not test this failure",
    "回归测试在修复前就已通过，因此没有测到这个失败",
)
RED_AFTER = B("the regression test fails with the fix ({tests}: {text})", "回归测试在修复后失败（{tests}：{text}）")
FLAKY_AFTER = B("the regression test ends differently from run to run with the fix", "修复后，回归测试每次的结果不同")
TESTS_GONE = B(
    "tests that ran without the fix did not run with it: {tests}", "修复前执行过的测试在修复后没有执行：{tests}"
)
STILL_FAILS = B(
    "with the fix, {bad} of {runs} executions of the repro still show the symptom",
    "修复后，复现程序 {runs} 次执行中仍有 {bad} 次出现该症状",
)
FAILS_OTHERWISE = B(
    "with the fix, the repro fails with something else: {reason}: {text}",
    "修复后，复现程序以其他错误失败：{reason}：{text}",
)
FLAKY_WITH_FIX = B("with the fix, equal executions of the repro differ", "修复后，复现程序相同执行的结果不同")
