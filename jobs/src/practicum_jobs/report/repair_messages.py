"""Sentences and labels of the section on repaired data, in English and Chinese."""

from __future__ import annotations

from practicum_core.texts import Bilingual as B  # noqa: N817 - a short name keeps the texts readable

REPAIR = {
    "nothing": B("Nothing to repair: no answer failed.", "没有需要修复的内容：没有失败的回答。"),
    "unrepaired": B("Failures of which no new row was made: {number}.", "未产生新样本的失败数：{number}。"),
    "changes": B("What changed in the data", "数据的变化"),
    "split": B("Split", "划分"),
    "change": B("Change", "变化"),
    "num_rows": B("Rows", "行数"),
    "which": B("Which rows", "哪些样本"),
    "kept": B("kept", "保留"),
    "added": B("added", "新增"),
    "left_out": B("left out", "未采用"),
    "claims": B("Which figures are clean", "哪些数字是干净的"),
    "scored_by": B("Scored by", "评分步骤"),
    "is_clean": B("Clean", "是否干净"),
    "clean": B("clean", "干净"),
    "not_clean": B("not clean", "不干净"),
    "why": B("Why", "原因"),
    "origins": B(
        "Each failure, what was made of it, and its answer now", "每个失败样本、由它生成的数据，以及现在的回答"
    ),
    "origins_of": B(
        "Failures and what became of them. Answered right now: {counts}",
        "失败样本的结果。现已答对：{counts}",
    ),
    "right_of": B("{right} of {total} in {split}", "{split} 中 {total} 个里的 {right} 个"),
    "failure": B("Failure", "失败样本"),
    "cause": B("Cause", "原因"),
    "new_rows": B("New rows", "新样本"),
    "pairs": B("Pairs", "偏好对"),
    "now": B("Answer now", "现在的回答"),
    "right": B("right", "答对"),
    "wrong": B("wrong", "答错"),
    "unasked": B("not asked again", "未再次作答"),
    "answer": B("{question} {answer}", "{question}{answer}"),
    "yes": B("yes", "是"),
    "no": B("no", "否"),
    "criterion": B("Criterion", "标准"),
    "value": B("Measured", "实测值"),
    "required": B("Required", "要求"),
    "holds": B("Holds", "是否满足"),
    "reason": B("{title}: {value} ({required})", "{title}：{value}（{required}）"),
    "skipped": B("Nothing was trained; the model was passed on as it was.", "未进行训练；模型原样传给后续步骤。"),
}
