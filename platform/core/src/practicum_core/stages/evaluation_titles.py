"""What the figures and failures of an evaluation are called, in English and Chinese."""

from __future__ import annotations

from practicum_core.stages.titles import figure, key_figure
from practicum_core.texts import Bilingual

METRICS = {
    "exact_match": key_figure("Exact match", "完全匹配率", "share"),
    "exact_match_base": key_figure("Exact match, base model", "完全匹配率（基座）", "share"),
    "exact_match_tuned": key_figure("Exact match, tuned model", "完全匹配率（微调）", "share"),
    "exact_match_delta": key_figure("Exact match, tuned minus base", "完全匹配率之差（微调减基座）", "points"),
    "exact_match_interval_width": figure("Width of the exact-match interval", "完全匹配率区间宽度", "width"),
    "num_rows": figure("Rows", "行数", "count"),
    "num_control_rows": figure("Control rows", "对照样本数", "count"),
    "control_mentioned": key_figure("Control rows answered", "对照样本答出率", "share"),
    "control_mentioned_base": key_figure("Control rows answered, base model", "对照样本答出率（基座）", "share"),
    "control_mentioned_tuned": key_figure("Control rows answered, tuned model", "对照样本答出率（微调）", "share"),
    "control_mentioned_delta": key_figure("Control rows, tuned minus base", "对照样本之差（微调减基座）", "points"),
    "mean_score": key_figure("Mean grade", "平均得分", "share"),
    "mean_score_base": key_figure("Mean grade, base model", "平均得分（基座）", "share"),
    "mean_score_tuned": key_figure("Mean grade, tuned model", "平均得分（微调）", "share"),
    "wins": figure("Rows put right by tuning", "微调后答对的样本", "count"),
    "losses": figure("Rows that got worse after tuning", "微调后变差的样本", "count"),
    "control_wins": figure("Control rows put right by tuning", "微调后答出的对照样本", "count"),
    "control_losses": figure("Control rows that got worse", "微调后变差的对照样本", "count"),
    "json_valid": figure("Answer is one JSON object", "回答是单个 JSON 对象", "share"),
    "planned_detectable": figure("Smallest detectable difference, planned", "最小可检测差异（预估）", "width"),
    "stopped_ratio": figure("Answers that ended by themselves", "自行结束的回答占比", "share"),
    "mean_answer_tokens": figure("Mean length of an answer (tokens)", "回答的平均长度（词元）", "number"),
    "prompts_not_shown": figure("Prompts whose token ids the engine does not show", "引擎未显示词元的提示数", "count"),
    "answers_cached": figure("Answers taken from earlier runs", "取自先前运行的回答数", "count"),
    "generate_s": figure("Time to generate", "生成耗时", "seconds"),
    "rows_per_s": figure("Rows per second", "每秒样本数", "number"),
    "tokens_per_s": figure("Tokens per second", "每秒词元数", "number"),
    "field_{rest}": figure("Field “{rest}” right", "字段“{rest}”正确", "share"),
    "exact_match_{rest}": figure("Exact match, {rest} rows", "完全匹配率，{rest} 类样本", "share"),
}
FAILURES = {
    "not_json": Bilingual("not one JSON object", "不是单个 JSON 对象"),
    "wrong_keys": Bilingual("other keys than asked for", "键与要求不符"),
    "empty": Bilingual("empty answer", "空回答"),
    "wrong_text": Bilingual("another text than expected", "文字与期望不符"),
    "no_match": Bilingual("the pattern finds nothing", "正则表达式没有匹配"),
    "wrong_match": Bilingual("what the pattern finds is not the expected text", "匹配内容与期望不符"),
    "no_number": Bilingual("no number in the answer", "回答中没有数字"),
    "wrong_number": Bilingual("another number than expected", "数字与期望不符"),
    "low_chrf": Bilingual("chrF below the threshold", "chrF 低于阈值"),
    "low_rouge": Bilingual("ROUGE below the threshold", "ROUGE 低于阈值"),
    "schema": Bilingual("JSON that its schema refuses ({rest})", "JSON 不符合模式（{rest}）"),
    "wrong_choice": Bilingual("another choice is more probable", "模型更倾向于其他选项"),
    "tests_failed": Bilingual("the code fails its tests", "代码未通过测试"),
    "tests_timeout": Bilingual("the tests of the code ran out of time", "代码测试超时"),
    "wrong": Bilingual("wrong {rest}", "{rest} 错误"),
}
