"""All sentences and labels of the evidence pack, in English and Chinese. Sections fill in the values."""

from __future__ import annotations

from practicum_core.texts import Bilingual as B  # noqa: N817 - a short name keeps the texts readable
from practicum_jobs.render.chain import TEXTS as CHAIN
from practicum_jobs.report.experiment_messages import EXPERIMENTS
from practicum_jobs.report.replay_messages import REPLAYS
from practicum_jobs.report.trace_messages import TRACE

GAPS = {
    "missing": B("the file is missing", "文件缺失"),
    "invalid": B("the file is incomplete or malformed", "文件不完整或格式不符"),
    "cut_lines": B("{count} truncated or unreadable line(s) were skipped", "已跳过 {count} 行被截断或无法读取的内容"),
}

PAGE = {
    "eyebrow": B("Practicum · evidence pack", "Practicum · 证据包"),
    "passed": B("Passed", "通过"),
    "failed": B("Not passed", "未通过"),
    "gate_count": B("{passed} of {total} gates passed", "{total} 项门槛中通过 {passed} 项"),
    "incomplete": B("the run is incomplete", "运行不完整"),
    "footer": B(
        "Run {run} · built only from its records; every figure above is in evidence.json beside this page or in "
        "stages/*/record.json.",
        "运行 {run} · 仅由记录生成；以上每个数字都可在同目录的 evidence.json 或 stages/*/record.json 中找到。",
    ),
}

SECTIONS = {
    "verdict": B("Verdict and gates", "结论与门槛"),
    "numbers": B("Key numbers", "关键指标"),
    "chain": CHAIN["chain"],
    "reruns": CHAIN["reruns"],
    "risk": B("Attacks, bias and compliance", "攻击、偏差与合规"),
    "levers": B("Levers and what they change", "手段及其效果"),
    "load": B("The service under load", "负载下的服务"),
    "experiments": EXPERIMENTS["title"],
    "trace": TRACE["title"],
    "replays": REPLAYS["title"],
    "deployment": B("The deployment", "部署说明"),
    "sheet": B("Sheet of quantized models", "量化对照表"),
    "steps": B("What was run", "运行步骤"),
    "curves": B("Training curves", "训练曲线"),
    "repair": B("How the data was repaired", "数据如何修复"),
    "audit": B("What the audit found", "审计结果"),
    "calibration": B("The judge and its calibration", "裁判及其校准"),
    "samples": B("Samples", "样本"),
    "problems": B("Failures and notes", "失败点与备注"),
    "data": B("Data card", "数据卡"),
    "model": B("Model card", "模型卡"),
    "lineage": B("Built on", "所依据的运行"),
    "environment": B("Environment and record", "环境与记录"),
    "rows": B("Course requirements answered", "对应的课程要求"),
    "reproduce": B("Run it again", "复现"),
}

READING = {
    "experiments": EXPERIMENTS["reading"],
    "trace": TRACE["reading"],
    "replays": REPLAYS["reading"],
    "deployment": B(
        "Made from what ran at the end of the experiments: servers were asked whether they are ready, limits are "
        "those of their options. The whole document is in the artifacts of the step describe, in both languages.",
        "根据实验结束时实际运行的内容生成：逐一询问各服务是否就绪，限制取自其选项。"
        "完整的中英文文档见步骤 describe 的产物。",
    ),
    "chain": CHAIN["chain_reading"],
    "risk": B(
        "Each probe was asked twice, without and with a guardrail of rules, and judged by rules. A bias counts where "
        "its adjusted p is below 0.05. An open point of the checklist is one that nothing here measures.",
        "每个探测分别在无护栏与有规则护栏时提问，并按规则判定。校正后 p 小于 0.05 的偏差才计入。"
        "清单中的待办条目表示此处没有测量。",
    ),
    "levers": B(
        "Baseline and levers are measured in turn, each round anew and each in a process of its own; a ratio compares "
        "within a round, so what slows the machine for a while slows both. The interval is of 95%; the verdict "
        "corrects for the number of levers, so an interval may leave out 1 and the verdict still be open. The baseline "
        "measured once more shows how large mere noise is.",
        "基线与各手段逐轮交替测量，每次都在独立进程中进行；比值只在同一轮内比较，因此机器一时变慢会同时影响两者。"
        "区间为 95%；结论按手段数量做了校正，所以区间不含 1 时结论仍可能未定。再测一次基线可看出噪声有多大。",
    ),
    "reruns": CHAIN["reruns_reading"],
    "verdict": B(
        "A gate compares a figure with a threshold that was fixed before the run. The unit passes only if every gate "
        "passes.",
        "门槛是在运行前设定阈值的检查项；全部门槛都通过，本单元才算通过。",
    ),
    "numbers": B(
        "The bar is the 95% interval: if the test were repeated on new rows of the same kind, about 95 of 100 such "
        "intervals would contain the true value. A paired interval compares both models on the same rows, so that "
        "easy and hard rows cancel out; an improvement counts only if its whole interval is above zero.",
        "横条表示 95% 置信区间：若用同类的新样本重复测试，约 95% 的置信区间会包含真值。配对区间在相同样本上"
        "比较两个模型，从而抵消样本难易的影响；只有整个区间都大于零，才算有提升。",
    ),
    "load": B(
        "Requests are sent at a given rate whether earlier ones were answered or not, as users do; each latency counts "
        "from the time at which its request was due. A percentile of correlated requests needs many of them: where the "
        "interval has no upper end, there were too few.",
        "无论先前的请求是否已答复，请求都按给定速率发送，与真实用户一致；时延从请求应发出的时刻起算。"
        "相邻请求彼此相关，高分位需要大量请求才能估准；区间没有上限，表示请求数不足。",
    ),
    "sheet": B(
        "Fewer bits save memory and disk; whether they also save time depends on the kernel. Judge by KL divergence "
        "and by the tasks, not by perplexity alone: perplexity can fall while the model moves away from the original. "
        "The original has a distance too: its engine runs it in fewer bits than the float32 that all are compared "
        "with. Worse or better needs a 95% interval without 0. Equal needs enough rows, even where no answer changed.",
        "位数越少，占用的内存和磁盘越小；能否提速取决于所用的算子。请以 KL 散度和任务结果为准，"
        "不要只看困惑度：困惑度可能下降，而模型却偏离了原模型。原模型自身也有距离：各行都与 float32 结果比较，"
        "而其引擎运行时的精度更低。判为变差或更好，要求 95% 置信区间不含 0；"
        "判为等效，即使没有回答改变，也需要足够多的样本。",
    ),
    "steps": B(
        "Each step reads what earlier steps wrote and leaves a record. A step starts when the steps that it needs have "
        "finished.",
        "每个步骤读取前面步骤的产物，并写下自己的记录。所依赖的步骤完成后，步骤才会开始。",
    ),
    "curves": B(
        "Training loss should fall and then flatten. Validation loss is measured on rows that are never trained on. If "
        "it rises while training loss keeps falling, the model overfits: it memorizes the training rows.",
        "训练损失应先下降再趋于平稳。验证损失在不参与训练的样本上测得；若验证损失上升而训练损失继续下降，"
        "说明模型过拟合，正在死记训练样本。",
    ),
    "repair": B(
        "Every new row comes from a failure that the samples below name. A figure is clean if nobody looked at its "
        "rows before they were scored and none of them is trained on. In this pack “base model” is the model before "
        "the repair, and “tuned model” the retrained one.",
        "每条新样本都来自某个失败样本，见下文样本部分。若评分前无人看过这些样本，且它们都未参与训练，则该数字是干净的。"
        "本证据包中的“基座”指修复前的模型，“微调”指重新训练后的模型。",
    ),
    "audit": B(
        "Each row is one kind of defect, with the number of data rows that have it and the share above which the audit "
        "fails. Personal data and secrets are masked.",
        "每行对应一类缺陷：列出含该缺陷的数据行数，以及判为不通过的占比上限。个人信息与密钥已脱敏。",
    ),
    "calibration": B(
        "A judge is a measuring instrument. It is asked about every pair in both orders, and about gold pairs whose "
        "better answer is known. Of an estimate, the worse end of its 95% interval is held against the bar. Canaries "
        "are known pairs that are asked again later: other answers mean another judge.",
        "裁判是一件测量仪器：每对回答按两种顺序各问一次，并用已知优劣的金标样本对来检验。估计值以 95% 置信区间中"
        "较差的一端与门槛比较。探针是后面再次询问的已知样本对：回答变了，说明裁判变了。",
    ),
    "samples": B(
        "Figures show how often the model is wrong; samples show in what way. Look for what the wrong answers have in "
        "common.",
        "指标说明模型错了多少，样本说明错在哪里。请留意答错的样本有什么共同点。",
    ),
    "problems": B(
        "Problems from which the run recovered, missing files, and what you should know before you trust the figures.",
        "运行中已恢复的问题、缺失的文件，以及采信这些数字之前需要了解的情况。",
    ),
    "data": B(
        "A split is identified by the SHA-256 of its content: splits with equal hashes have equal rows. A leak is an "
        "evaluation row that is also in the training data.",
        "数据划分以内容的 SHA-256 标识：哈希相同，数据即相同。泄漏是指评测样本也出现在训练数据中。",
    ),
    "model": B(
        "The weights, the tokenizer and the chat template that the run started from, identified by content hashes.",
        "本次运行所用的初始权重、分词器和对话模板，均以内容哈希标识。",
    ),
    "lineage": B(
        "Earlier runs that this run took a model or data from. The hashes were taken when it started, and every step "
        "that reads one of them checks its hash again.",
        "本次运行从这些先前的运行中取得模型或数据。哈希在启动时计算，之后每个读取这些内容的步骤都会再次核对。",
    ),
    "environment": B(
        "What can change a figure besides data and model: the code, the pinned packages and the machine.",
        "除数据和模型外，可能影响结果的因素：代码、锁定版本的软件包和机器。",
    ),
    "rows": B(
        "What the course requires of this unit, and the sections of this pack that show it.",
        "课程对本单元的要求，以及本证据包中对应的章节。",
    ),
    "reproduce": B(
        "The first command repeats the run from its record and compares the results; the second starts a new run with "
        "the same request.",
        "第一条命令按记录重新执行本次运行并比较结果；第二条命令以相同的请求启动一次新的运行。",
    ),
}

VERDICT = {
    "all_passed": B("All gates of this unit passed.", "本单元的全部门槛均已通过。"),
    "some_failed": B("{count} gate(s) did not pass: {names}.", "有 {count} 项门槛未通过：{names}。"),
    "incomplete": B(
        "The run is incomplete, so the verdict is “not passed”, whatever the results of the gates.",
        "运行不完整，因此无论门槛结果如何，结论都是“未通过”。",
    ),
    "no_gates": B("This unit has no gates, so the run proves nothing.", "本单元没有设置门槛，因此无法据此得出结论。"),
    "missing_steps": B("Steps without a complete record: {names}.", "缺少完整记录的步骤：{names}。"),
    "caption": B("Gates", "门槛"),
    "asked": B("Gate", "检查项"),
    "measured": B("Measured", "实测值"),
    "threshold": B("Required", "阈值"),
    "result": B("Result", "结果"),
    "passed": B("passed", "通过"),
    "failed": B("not passed", "未通过"),
    "not_measured": B("not measured", "未测得"),
    "sentence": B(
        "{metric}: {value}; required {comparison} {threshold}.",
        "{metric}：{value}；要求：{comparison} {threshold}。",
    ),
    "sentence_bound": B(
        "{metric}: {estimate}, 95% interval {interval}. Required: {bound} {comparison} {threshold}; it is {value}.",
        "{metric}：{estimate}，95% 置信区间 {interval}。要求：{bound}{comparison} {threshold}；实测为 {value}。",
    ),
    "sentence_missing": B(
        "The step “{step}” did not record “{metric}”; a gate without a figure does not pass.",
        "步骤“{step}”没有记录指标“{metric}”；缺少指标的门槛视为未通过。",
    ),
}
BOUNDS = {
    "value": B("the value", "数值"),
    "low": B("the lower end of the 95% interval", "95% 置信区间下限"),
    "high": B("the upper end of the 95% interval", "95% 置信区间上限"),
}
COMPARISONS = {
    ">=": B("at least", "不低于"),
    ">": B("above", "高于"),
    "<=": B("at most", "不超过"),
    "==": B("exactly", "等于"),
}

NUMBERS = {
    "of_step": B("{title} ({step})", "{title}（步骤 {step}）"),
    "forest_share": B("Shares with their 95% intervals (%)", "比例及其 95% 置信区间（%）"),
    "forest_detail": B("By part of the task (%)", "按任务组成部分（%）"),
    "forest_points": B("Differences (percentage points)", "差值（百分点）"),
    "forest_number": B("Figures with their 95% intervals", "指标及其 95% 置信区间"),
    "forest_reading": B(
        "Dot: the estimate. Bar: its 95% interval.",
        "圆点为估计值，横条为 95% 置信区间。",
    ),
    "forest_reference": B(
        "Dot: the estimate. Bar: its 95% interval. Dashed line: no difference.",
        "圆点为估计值，横条为 95% 置信区间，虚线表示没有差别。",
    ),
    "all": B("All figures that the steps recorded ({count})", "各步骤记录的全部指标（{count} 项）"),
    "caption": B("Recorded figures", "记录的指标"),
    "step": B("Step", "步骤"),
    "metric": B("Figure", "指标"),
    "name": B("Name in evidence.json", "evidence.json 中的名称"),
    "value": B("Value", "数值"),
    "interval": B("95% interval", "95% 置信区间"),
    "no_interval": B("no interval", "无区间"),
    "none": B("No step recorded a figure.", "没有步骤记录指标。"),
    "interval_note": B("95% interval {low} to {high}", "95% 置信区间 {low} 至 {high}"),
}

STEPS = {
    "chart": B("Time by step", "各步骤耗时"),
    "caption": B("Steps in order", "各步骤（按顺序）"),
    "step": B("Step", "步骤"),
    "what": B("What it does", "作用"),
    "result": B("Result", "结果"),
    "started": B("Started (UTC)", "开始时间（UTC）"),
    "duration": B("Duration", "耗时"),
    "attempts": B("Starts", "启动次数"),
    "succeeded": B("succeeded", "成功"),
    "failed": B("failed", "失败"),
    "missing": B("no record", "无记录"),
    "options": B("Options of each step, as used", "各步骤实际使用的选项"),
    "option": B("Option", "选项"),
    "option_value": B("Value", "值"),
    "options_of": B("Options of {step}", "{step} 的选项"),
    "artifacts": B("Output files", "输出文件"),
    "path": B("Path", "路径"),
    "size": B("Size", "大小"),
    "note": B("Note", "说明"),
}
CURVES = {
    "of_step": B("The step “{step}”", "步骤“{step}”"),
    "loss": B("Loss", "损失"),
    "loss_reading": B("Validation loss is measured every few steps.", "验证损失每隔若干步测量一次。"),
    "training": B("training", "训练"),
    "validation": B("validation", "验证"),
    "learning_rate": B("Learning rate", "学习率"),
    "learning_rate_reading": B(
        "Rises during warm-up, then falls as scheduled.", "预热阶段上升，之后按学习率调度下降。"
    ),
    "grad_norm": B("Gradient norm", "梯度范数"),
    "grad_norm_reading": B(
        "A sudden spike shows an unstable step; gradient clipping limits its effect.",
        "突然出现的尖峰表示该步不稳定；梯度裁剪可限制其影响。",
    ),
    "rewards_chosen": B("Reward of chosen answers", "chosen 回答的奖励"),
    "eval_rewards_chosen": B("Reward of chosen answers, validation", "chosen 回答的奖励（验证）"),
    "rewards_rejected": B("Reward of rejected answers", "rejected 回答的奖励"),
    "eval_rewards_rejected": B("Reward of rejected answers, validation", "rejected 回答的奖励（验证）"),
    "rewards_margins": B("Reward margin", "奖励差"),
    "eval_rewards_margins": B("Reward margin, validation", "奖励差（验证）"),
    "rewards_accuracies": B("Pairs ranked rightly", "排序正确的偏好对占比"),
    "eval_rewards_accuracies": B("Pairs ranked rightly, validation", "排序正确的偏好对占比（验证）"),
    "logps_chosen": B("Log-probability of chosen answers", "chosen 回答的对数概率"),
    "eval_logps_chosen": B("Log-probability of chosen answers, validation", "chosen 回答的对数概率（验证）"),
    "logps_rejected": B("Log-probability of rejected answers", "rejected 回答的对数概率"),
    "eval_logps_rejected": B("Log-probability of rejected answers, validation", "rejected 回答的对数概率（验证）"),
    "eval_kl": B("KL divergence from the reference, validation", "相对参考模型的 KL 散度（验证）"),
    "eval_kl_reading": B(
        "In nats per answer token of the chosen sides; it starts at zero, where policy and reference are the same.",
        "按 chosen 回答的每个词元计（nat）；起点为零，此时策略与参考模型相同。",
    ),
    "other": B("{name}", "{name}"),
    "x": B("optimizer step", "优化步"),
    "y_loss": B("loss per token (nats)", "每词元损失（nat）"),
    "y_loss_pair": B("loss per pair (nats)", "每对损失（nat）"),
    "y_value": B("value", "数值"),
    "restart": B("resumed", "恢复训练"),
    "best": B("best checkpoint", "最佳检查点"),
    "diagnosis": B("Diagnosis", "诊断"),
    "checkpoints": B("Checkpoints kept", "保留的检查点"),
    "step": B("Step", "步数"),
    "validation_loss": B("Validation loss", "验证损失"),
    "chosen": B("Selected", "选用"),
    "is_best": B("best", "最佳"),
    "method": B("Method", "方法"),
    "num_steps": B("Optimizer steps", "优化步数"),
    "num_train_rows": B("Training rows", "训练样本数"),
    "num_tokens": B("Tokens seen", "训练词元数"),
    "trainable": B("Trainable parameters", "可训练参数"),
    "restarts": B("Restarts", "重启次数"),
    "resumed": B("Resumed from step", "恢复训练的起始步"),
}

SAMPLES = {
    "group": B("{title}: {shown} of {total} recorded", "{title}：共记录 {total} 条，显示 {shown} 条"),
    "of_step": B("Recorded by the step “{step}”", "由步骤“{step}”记录"),
    "none": B("No step recorded a sample.", "没有步骤记录样本。"),
}

PROBLEMS = {
    "none": B("No failures, missing files or notes were recorded.", "没有失败、缺失文件或备注的记录。"),
    "gaps": B("Missing or unreadable", "缺失或无法读取"),
    "file": B("File", "文件"),
    "why": B("Why", "原因"),
    "errors": B("Why a step has no record", "步骤缺少记录的原因"),
    "failures": B("Points of failure, as recorded", "失败点（原始记录）"),
    "kind": B("Kind", "类别"),
    "where": B("Where", "位置"),
    "what": B("What happened", "发生了什么"),
    "notes": B("Notes, as recorded", "备注（原始记录）"),
    "note": B("Note", "备注"),
    "step": B("Step", "步骤"),
    "fix": B("What to do: {fix}", "处理办法：{fix}"),
    "waived": B(
        "Leakage that was waived by name: {names}. Figures measured on these rows are too high.",
        "已按名称豁免的泄漏：{names}。在这些样本上测得的指标偏高。",
    ),
    "not_finite": B(
        "The step “{step}” recorded figures that are not finite; they are left out: {names}.",
        "步骤“{step}”记录了非有限值（NaN 或无穷大）的指标，已略去：{names}。",
    ),
    "retried": B("The step “{step}” was started {count} times.", "步骤“{step}”共启动 {count} 次。"),
    "dirty": B(
        "The code had uncommitted changes; they are saved as code.diff in the run directory.",
        "代码含有未提交的改动；这些改动保存在运行目录的 code.diff 中。",
    ),
}
DATA = {
    "uri": B("Address", "地址"),
    "generator": B("Generator version", "生成器版本"),
    "splits": B("Splits", "数据划分"),
    "split": B("Split", "划分"),
    "rows": B("Rows", "行数"),
    "size": B("Size", "大小"),
    "sha256": B("SHA-256 of the content", "内容的 SHA-256"),
    "leaks": B("Overlap between splits", "划分之间的重叠"),
    "leak": B("Kind and splits", "类型与划分"),
    "leak_rows": B("Rows", "行数"),
    "share": B("Share", "占比"),
    "verdict": B("Verdict", "结论"),
    "waived": B("waived", "已豁免"),
    "blocks": B("blocks the run", "阻止运行"),
    "clean": B("none", "无"),
    "examples": B("Row ids", "行 ID"),
    "no_leaks": B(
        "Exact, near-duplicate and n-gram comparison found no row of an evaluation split in the training data.",
        "经完全匹配、近似重复和 n-gram 比较，训练数据中未发现评测样本。",
    ),
    "not_frozen": B(
        "The data lock could not be read, so the rows that were used are unknown.",
        "未能读取数据锁文件，无法确定使用了哪些数据。",
    ),
}
LEAK_KINDS = {
    "exact": B("equal rows", "完全相同"),
    "near": B("near duplicates", "近似重复"),
    "ngram": B("shared long passages", "长片段重合"),
}

AUDIT = {
    "verdict": B("Verdict of the audit", "审计结论"),
    "as_delivered": B("of the original data, before cleaning", "针对清洗前的原始数据"),
    "rows": B("Rows read", "读取行数"),
    "clean_rows": B("Rows in the clean copy", "清洗后行数"),
    "removed_rows": B("Rows removed", "移除行数"),
    "findings": B("Findings", "审计结果"),
    "finding": B("Defect", "缺陷"),
    "num_rows": B("Rows", "行数"),
    "share": B("Share", "占比"),
    "threshold": B("Fails above", "不通过阈值"),
    "level": B("Level", "级别"),
    "pass": B("pass", "通过"),
    "warn": B("warning", "警告"),
    "fail": B("fail", "不通过"),
    "samples": B("Masked samples", "脱敏样本"),
    "sample": B("Sample", "样本"),
    "chart": B("Rows with the most frequent defects", "最常见缺陷的行数"),
    "report": B("Full audit report", "完整审计报告"),
    "accuracy": B(
        "How well each kind of planted flaw was found, by the truth file", "各类植入缺陷的检出情况（对照真值文件）"
    ),
    "planted": B("Planted", "植入"),
    "flagged": B("Flagged", "标记"),
    "right": B("Right", "正确"),
    "not_found": B("Checked and not found: {names}.", "已检查，未发现：{names}。"),
    "lengths": B("Tokens per row, including the answer", "每行的词元数（含答案）"),
    "percentile": B("Percentile", "百分位"),
    "tokens": B("Tokens", "词元数"),
    "scripts": B("Rows by script", "各书写系统的行数"),
    "script": B("Script", "书写系统"),
    "files": B("Files read", "读取的文件"),
    "file": B("File", "文件"),
    "split": B("Split", "划分"),
    "size": B("Size", "大小"),
    "hash": B("SHA-256", "SHA-256"),
    "recall": B("Recall", "召回率"),
    "precision": B("Precision", "精确率"),
    "accuracy_reading": B(
        "Recall: share of planted flaws that were found. Precision: share of flagged rows that have the flaw.",
        "召回率：植入缺陷中被检出的比例。精确率：被标记的行中确有该缺陷的比例。",
    ),
}

MODEL = {
    "uri": B("Address", "地址"),
    "revision": B("Revision", "版本"),
    "family": B("Family", "模型族"),
    "num_parameters": B("Parameters", "参数量"),
    "sha256": B("SHA-256 of all files", "全部文件的 SHA-256"),
    "tokenizer": B("SHA-256 of the tokenizer", "分词器的 SHA-256"),
    "template": B("SHA-256 of the chat template", "对话模板的 SHA-256"),
    "files": B("Files", "文件"),
    "file": B("File", "文件"),
    "size": B("Size", "大小"),
    "hash": B("SHA-256", "SHA-256"),
    "none": B(
        "The model lock could not be read, so the weights that were used are unknown.",
        "未能读取模型锁文件，无法确定使用了哪些权重。",
    ),
}

ENVIRONMENT = {
    "created": B("Recorded at (UTC)", "记录时间（UTC）"),
    "version": B("Practicum version", "Practicum 版本"),
    "commit": B("Code commit", "代码的 Git 提交"),
    "workspace": B("Commit of the student's folder", "学生目录的 Git 提交"),
    "clean": B("{commit}, clean", "{commit}，无改动"),
    "dirty": B("{commit}, with uncommitted changes", "{commit}，含未提交的改动"),
    "source": B("SHA-256 of the source", "源码 SHA-256"),
    "seed": B("Seed", "随机种子"),
    "python": B("Python", "Python"),
    "platform": B("Operating system", "操作系统"),
    "cpu": B("Processor", "处理器"),
    "cores": B("Cores (physical / logical)", "核心数（物理 / 逻辑）"),
    "memory": B("Memory", "内存"),
    "gpus": B("GPUs", "GPU"),
    "no_gpu": B("none", "无"),
    "threads": B("Threads per step", "每步线程数"),
    "locks": B("Package locks", "软件包锁文件"),
    "lock": B("Environment", "环境"),
    "lock_hash": B("SHA-256 of the lock", "锁文件 SHA-256"),
    "num_packages": B("Packages", "软件包数"),
    "command": B("Command that started the run", "启动本次运行的命令"),
    "files": B("Files in the run directory", "运行目录中的文件"),
    "file": B("File", "文件"),
    "role": B("Content", "内容"),
    "none": B("The environment record could not be read.", "未能读取环境记录。"),
}
LINEAGE = {
    "caption": B("Earlier runs that this run started from", "本次运行所依据的先前运行"),
    "reference": B("Reference", "引用"),
    "week": B("Week", "周次"),
    "run": B("Run", "运行"),
    "path": B("What was used of it", "使用的内容"),
    "sha256": B("SHA-256", "SHA-256"),
}

RUN_FILES = (
    ("weekjob.yaml", B("the request, with all defaults filled in", "补全默认值后的请求")),
    ("environment.json", B("code, packages, machine", "代码、软件包、机器")),
    ("data.lock.json", B("content hashes of the data", "数据的内容哈希")),
    ("model.lock.json", B("content hashes of the model and its tokenizer", "模型与分词器的内容哈希")),
    ("lineage.lock.json", B("earlier runs it is built on, by content", "所依据的先前运行及其内容哈希")),
    ("events.jsonl", B("events with their times", "事件及其时间")),
    ("stages/*/config.yaml", B("options of each step", "各步骤的选项")),
    ("stages/*/record.json", B("results of each step", "各步骤的结果")),
    ("stages/*/metrics.jsonl", B("metrics over training steps", "随训练步数变化的指标")),
    ("stages/*/samples.jsonl", B("inputs with outputs", "输入与输出")),
    ("stages/*/log.txt", B("everything that a step printed", "步骤的全部日志输出")),
)

ROWS = {
    "caption": B("Rows of the course plan", "课程计划条目"),
    "row": B("Row", "条目"),
    "asks": B("Requirement", "要求"),
    "shown": B("Shown in", "所在章节"),
    "command": B("command `{command}`", "命令 `{command}`"),
}

REPRODUCE = {
    "verify": B("Repeat this run from its record and compare the results", "按记录重新执行本次运行并比较结果"),
    "rerun": B("Start a new run with the same request", "以相同的请求启动新的运行"),
    "control": B("Control run", "对照运行"),
    "factor": B("The one factor that differs", "唯一不同的因素"),
    "factor_value": B("{before} → {after}", "{before} → {after}"),
    "repeats": B("none: this run repeats its control", "无：本次运行是对照运行的重复"),
    "more": B("Related commands", "相关命令"),
    "summarize": B("All runs in one table", "将所有运行汇总成一张表"),
    "diff": B("The factors in which two runs differ", "列出两次运行之间不同的因素"),
    "pointer": B(
        "Set the pointer “best” to this run; undo with `practicum pointer rollback best`",
        "将指针“best”指向本次运行；可用 `practicum pointer rollback best` 撤销",
    ),
}

CALIBRATION = {
    "who": B("Judge", "裁判"),
    "calibrated": B(
        "The judge passed every check: its preference may decide a gate.", "裁判通过了全部检查：其偏好可以参与判定。"
    ),
    "not_independent": B(
        "The scorers themselves judged, by the expected answers: no independent judge was asked.",
        "由评分器本身依据参考答案评判，并未询问独立的裁判。",
    ),
    "not_calibrated": B(
        "The judge is not calibrated. Its scores are shown and decide no gate. Missed: {names}.",
        "裁判未校准：其分数仅供参考，不参与任何判定。未达到：{names}。",
    ),
    "checks": B("The judge against the bar", "裁判与门槛"),
    "check": B("Check", "检查项"),
    "measured": B("Measured", "实测值"),
    "held": B("held against it: {value}", "用于比较：{value}"),
    "bar": B("Bar", "门槛"),
    "result": B("Result", "结果"),
    "passed": B("passed", "通过"),
    "missed": B("missed", "未达到"),
    "not_measured": B("not measured", "未测得"),
    "asked": B("Questions asked, both orders", "提问数（含两种顺序）"),
    "canaries": B("Canaries: known pairs, asked again", "探针：再次询问的已知样本对"),
    "round": B("Round", "轮次"),
    "questions": B("Questions", "提问数"),
    "right": B("Right", "判对"),
    "changed": B("Changed since the start", "与开始时不同"),
    "models": B("Models named", "自报的模型"),
    "start": B("start", "开始"),
    "middle": B("middle", "中间"),
    "end": B("end", "结束"),
    "resumed": B("resumed, {number}", "第 {number} 次恢复"),
    "unusable": B("Answers without a verdict, never guessed at", "没有结论的回答（不作猜测）"),
    "kind": B("Kind", "类型"),
    "count": B("Answers", "回答数"),
}
