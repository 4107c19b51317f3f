"""Every sentence and label of the evidence pack, in English and Chinese. Texts only; sections fill in the figures."""

from __future__ import annotations

from practicum_core.texts import Bilingual as B  # noqa: N817 - a catalogue reads by its texts

GAPS = {
    "missing": B("the file is missing", "文件缺失"),
    "invalid": B("the file is not whole or not of the expected shape", "文件不完整或结构不符"),
    "cut_lines": B("{count} line(s) cut off or unreadable were left out", "有 {count} 行被截断或无法读取，已略去"),
}

PAGE = {
    "eyebrow": B("Practicum · evidence pack", "Practicum · 证据包"),
    "passed": B("Passed", "通过"),
    "failed": B("Not passed", "未通过"),
    "gate_count": B("{passed} of {total} gates passed", "{total} 项门槛通过 {passed} 项"),
    "incomplete": B("the run is incomplete", "运行不完整"),
    "footer": B(
        "Run {run} · built from its records alone; every figure above stands in evidence.json beside this page or in "
        "stages/*/record.json.",
        "运行 {run} · 仅由记录生成；以上每个数字都可在本页旁的 evidence.json 或 stages/*/record.json 中找到。",
    ),
}

SECTIONS = {
    "verdict": B("Verdict and gates", "结论与门槛"),
    "numbers": B("Key numbers", "关键数字"),
    "steps": B("What was run", "运行了什么"),
    "curves": B("Training curves", "训练曲线"),
    "audit": B("What the audit found", "审计发现"),
    "samples": B("Samples", "样本"),
    "problems": B("Failures and notes", "失败点与备注"),
    "data": B("Data card", "数据卡"),
    "model": B("Model card", "模型卡"),
    "environment": B("Environment and record", "环境与记录"),
    "rows": B("Course requirements answered", "对应的课程要求"),
    "reproduce": B("Run it again", "复现"),
}

READING = {
    "verdict": B(
        "A gate is a question with a threshold fixed before the run. The unit passes only when every gate does.",
        "门槛是运行之前就定下阈值的问题；全部门槛通过，本单元才算通过。",
    ),
    "numbers": B(
        "The bar is the 95% interval: were the test repeated on fresh rows of the same kind, about 95 of 100 such "
        "intervals would hold the true value. A paired interval compares both models on the same rows, so that easy "
        "and hard rows cancel out; an improvement counts when its whole interval lies above zero.",
        "横条是 95% 置信区间：若用同类的新样本反复测试，约 95% 的此类区间会包含真值。配对区间在同样的"
        "样本上比较两个模型，样本难易因此互相抵消；只有整个区间都高于零，才算提升。",
    ),
    "steps": B(
        "Steps run one after another; each reads what the ones before it wrote and leaves a record.",
        "各步骤依次执行；每一步读取前面步骤的产物，并留下自己的记录。",
    ),
    "curves": B(
        "Training loss should fall and flatten. Validation loss is measured on rows that are never trained on: once it "
        "rises while training loss goes on falling, the model learns rows by heart.",
        "训练损失应下降并趋平。验证损失在从不参与训练的样本上测得：若它上升而训练损失继续下降，模型就是在死记样本。",
    ),
    "audit": B(
        "Each row is one kind of defect, with how many data rows show it and the share above which it fails. "
        "Personal data and secrets are masked.",
        "每行是一类缺陷：有多少数据行出现，以及占比超过多少即判不通过。个人信息与密钥已遮盖。",
    ),
    "samples": B(
        "Numbers say how often, samples say how. Look for what the wrong answers have in common.",
        "数字说明多少，样本说明怎样。看看答错的样本有什么共同点。",
    ),
    "problems": B(
        "What went wrong and was survived, what is missing, and what a reader should know before trusting the numbers.",
        "出过什么问题而被挺过、缺少什么，以及在相信这些数字之前应当知道的事。",
    ),
    "data": B(
        "Splits are named by the SHA-256 of their content: equal hash, equal rows. A leak is an evaluation row that "
        "also stands in the training data.",
        "各划分以内容的 SHA-256 命名：哈希相同则数据相同。泄漏指评测样本也出现在训练数据中。",
    ),
    "model": B(
        "Which weights, tokenizer and chat template the run started from, by content.",
        "本次运行从哪些权重、分词器和对话模板出发，均以内容哈希标识。",
    ),
    "environment": B(
        "What can change a number besides data and model: the code, the pinned packages and the machine.",
        "除数据与模型之外可能改变结果的因素：代码、锁定的软件包和机器。",
    ),
    "rows": B(
        "What the course asks of this unit, and where in this pack it is shown.",
        "课程对本单元的要求，以及在本证据包的何处可以看到。",
    ),
    "reproduce": B(
        "The first command executes the run again from its record and compares; the second starts a new run with the "
        "same request.",
        "第一条命令按记录重新执行并比较；第二条以相同请求启动新的运行。",
    ),
}

VERDICT = {
    "all_passed": B("Every gate of this unit was passed.", "本单元的全部门槛均已通过。"),
    "some_failed": B("{count} gate(s) were not passed: {names}.", "有 {count} 项门槛未通过：{names}。"),
    "incomplete": B(
        "The run is incomplete, so the verdict is “not passed” whatever its gates say.",
        "运行不完整，因此无论门槛结果如何，结论都是“未通过”。",
    ),
    "no_gates": B("This unit declares no gate, so nothing was proved.", "本单元没有声明门槛，因此没有证明任何结论。"),
    "missing_steps": B("Steps without a whole record: {names}.", "没有完整记录的步骤：{names}。"),
    "caption": B("Gates", "门槛"),
    "asked": B("What was asked", "要求"),
    "measured": B("Measured", "测得"),
    "threshold": B("Required", "阈值"),
    "result": B("Result", "结果"),
    "passed": B("passed", "通过"),
    "failed": B("not passed", "未通过"),
    "not_measured": B("not measured", "未测得"),
    "sentence": B(
        "{metric}: {value}; required {comparison} {threshold}.",
        "{metric}：{value}；要求{comparison} {threshold}。",
    ),
    "sentence_bound": B(
        "{metric}: {estimate}, 95% interval {interval}. Required: {bound} {comparison} {threshold}; it is {value}.",
        "{metric}：{estimate}，95% 区间 {interval}。要求{bound}{comparison} {threshold}；实测 {value}。",
    ),
    "sentence_missing": B(
        "The step “{step}” left no figure “{metric}”; a gate without a figure is not passed.",
        "步骤“{step}”没有留下指标“{metric}”；没有数字的门槛视为未通过。",
    ),
}
BOUNDS = {
    "value": B("the value", "数值"),
    "low": B("the lower end of the 95% interval", "95% 区间下限"),
    "high": B("the upper end of the 95% interval", "95% 区间上限"),
}
COMPARISONS = {
    ">=": B("at least", "不低于"),
    ">": B("above", "高于"),
    "<=": B("at most", "不超过"),
    "==": B("exactly", "等于"),
}

NUMBERS = {
    "forest_share": B("Shares with their 95% intervals (%)", "比例及其 95% 置信区间（%）"),
    "forest_detail": B("By part of the task (%)", "按任务的各部分（%）"),
    "forest_points": B("Tuned minus base, paired (percentage points)", "微调减基座，配对（百分点）"),
    "forest_number": B("Figures with their 95% intervals", "数值及其 95% 置信区间"),
    "forest_reading": B(
        "Dot: the estimate. Bar: its 95% interval.",
        "圆点为估计值，横条为 95% 置信区间。",
    ),
    "forest_reference": B(
        "Dot: the estimate. Bar: its 95% interval. Dashed line: no difference.",
        "圆点为估计值，横条为 95% 置信区间，虚线表示没有差别。",
    ),
    "all": B("Every figure that the steps recorded ({count})", "各步骤记录的全部数字（{count} 项）"),
    "caption": B("Recorded figures", "记录的数字"),
    "step": B("Step", "步骤"),
    "metric": B("Figure", "指标"),
    "name": B("Name in evidence.json", "evidence.json 中的名称"),
    "value": B("Value", "数值"),
    "interval": B("95% interval", "95% 区间"),
    "no_interval": B("no interval", "无区间"),
    "none": B("No step recorded a figure.", "没有任何步骤记录数字。"),
    "interval_note": B("95% interval {low} to {high}", "95% 区间 {low} 至 {high}"),
}

STEPS = {
    "chart": B("Time by step", "各步骤耗时"),
    "caption": B("Steps in order", "按顺序的步骤"),
    "step": B("Step", "步骤"),
    "what": B("What it does", "作用"),
    "result": B("Result", "结果"),
    "started": B("Started (UTC)", "开始（UTC）"),
    "duration": B("Duration", "耗时"),
    "attempts": B("Starts", "启动次数"),
    "succeeded": B("succeeded", "成功"),
    "failed": B("failed", "失败"),
    "missing": B("no record", "无记录"),
    "options": B("Options of each step, as run", "各步骤实际使用的选项"),
    "option": B("Option", "选项"),
    "option_value": B("Value", "值"),
    "options_of": B("Options of {step}", "{step} 的选项"),
    "artifacts": B("Files left behind", "留下的文件"),
    "path": B("Path", "路径"),
    "size": B("Size", "大小"),
    "note": B("Note", "说明"),
}
CURVES = {
    "loss": B("Loss", "损失"),
    "loss_reading": B("The validation points are measured every few steps.", "验证损失每隔若干步测一次。"),
    "training": B("training", "训练"),
    "validation": B("validation", "验证"),
    "learning_rate": B("Learning rate", "学习率"),
    "learning_rate_reading": B("Rises during warm-up, then falls as scheduled.", "预热阶段上升，随后按计划下降。"),
    "grad_norm": B("Gradient norm", "梯度范数"),
    "grad_norm_reading": B(
        "A sudden spike points to an unstable step; clipping keeps it from doing harm.",
        "突然的尖峰表示这一步不稳定；梯度裁剪可避免其造成破坏。",
    ),
    "other": B("{name}", "{name}"),
    "x": B("optimizer step", "优化步"),
    "y_loss": B("loss per token (nats)", "每词元损失（nat）"),
    "y_value": B("value", "数值"),
    "restart": B("went on again", "从此继续"),
    "best": B("best checkpoint", "最佳检查点"),
    "diagnosis": B("Diagnosis", "诊断"),
    "checkpoints": B("Checkpoints kept", "保留的检查点"),
    "step": B("Step", "步数"),
    "validation_loss": B("Validation loss", "验证损失"),
    "chosen": B("Chosen", "选用"),
    "is_best": B("best", "最佳"),
    "method": B("Method", "方法"),
    "num_steps": B("Optimizer steps", "优化步数"),
    "num_train_rows": B("Training rows", "训练样本数"),
    "num_tokens": B("Tokens seen", "训练词元数"),
    "trainable": B("Trainable parameters", "可训练参数"),
    "restarts": B("Restarts", "重启次数"),
    "resumed": B("Resumed from step", "从该步恢复"),
}

SAMPLES = {
    "group": B("{title}: {shown} of {total} recorded", "{title}：共记录 {total} 条，显示 {shown} 条"),
    "of_step": B("Recorded by the step “{step}”", "由步骤“{step}”记录"),
    "none": B("No step recorded a sample.", "没有任何步骤记录样本。"),
}

PROBLEMS = {
    "none": B("No failure, gap or note was recorded.", "没有记录到失败、缺失或备注。"),
    "gaps": B("Missing or unreadable", "缺失或无法读取"),
    "file": B("File", "文件"),
    "why": B("Why", "原因"),
    "errors": B("Why a step ended without a record", "步骤为何没有记录"),
    "failures": B("Points of failure, as recorded", "失败点（记录原文）"),
    "kind": B("Kind", "类别"),
    "where": B("Where", "位置"),
    "what": B("What happened", "发生了什么"),
    "notes": B("Notes, as recorded", "备注（记录原文）"),
    "note": B("Note", "备注"),
    "step": B("Step", "步骤"),
    "fix": B("What to do: {fix}", "处理办法：{fix}"),
    "waived": B(
        "Leakage accepted by name: {names}. Figures measured on these rows are too good.",
        "已按名称豁免的泄漏：{names}。在这些样本上测得的数字偏好。",
    ),
    "not_finite": B(
        "The step “{step}” recorded figures that are no numbers and were left out: {names}.",
        "步骤“{step}”记录了非数字的指标，已略去：{names}。",
    ),
    "retried": B("The step “{step}” was started {count} times.", "步骤“{step}”启动了 {count} 次。"),
    "dirty": B(
        "The code had changes that no commit holds; code.diff in the run directory has them.",
        "代码含有未提交的改动；运行目录中的 code.diff 保存了这些改动。",
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
    "leak": B("Kind and splits", "类别与划分"),
    "leak_rows": B("Rows", "行数"),
    "share": B("Share", "占比"),
    "verdict": B("Verdict", "结论"),
    "waived": B("waived", "已豁免"),
    "blocks": B("blocks the run", "阻止运行"),
    "clean": B("none", "无"),
    "examples": B("Row ids", "行 id"),
    "no_leaks": B(
        "Exact, near-duplicate and n-gram comparison found no row of an evaluation split in the training data.",
        "经完全匹配、近似重复与 n-gram 比较，训练数据中没有评测样本。",
    ),
    "not_frozen": B(
        "No data lock was read, so nothing says which rows were used.", "未读到数据锁，无法说明使用了哪些数据。"
    ),
}
LEAK_KINDS = {
    "exact": B("equal rows", "完全相同"),
    "near": B("near duplicates", "近似重复"),
    "ngram": B("shared long passages", "共享长片段"),
}

AUDIT = {
    "verdict": B("Verdict of the audit", "审计结论"),
    "as_delivered": B("of the data as it came, before cleaning", "针对清洗前的原始数据"),
    "rows": B("Rows read", "读取行数"),
    "clean_rows": B("Rows in the clean copy", "干净副本行数"),
    "removed_rows": B("Rows removed", "移除行数"),
    "findings": B("Findings", "发现"),
    "finding": B("Defect", "缺陷"),
    "num_rows": B("Rows", "行数"),
    "share": B("Share", "占比"),
    "threshold": B("Fails above", "超过即不通过"),
    "level": B("Level", "级别"),
    "pass": B("pass", "通过"),
    "warn": B("warning", "警告"),
    "fail": B("fail", "不通过"),
    "samples": B("Masked samples", "遮盖后的样本"),
    "sample": B("Sample", "样本"),
    "chart": B("Rows by defect, the most frequent", "各类缺陷的行数（最多的几类）"),
    "report": B("Full audit report", "完整审计报告"),
    "accuracy": B(
        "Held against the truth file: how well each planted flaw was found", "对照真值文件：各类植入缺陷的检出情况"
    ),
    "planted": B("Planted", "植入"),
    "flagged": B("Flagged", "标记"),
    "right": B("Right", "正确"),
    "not_found": B("Looked for and not found: {names}.", "已检查但未发现：{names}。"),
    "lengths": B("Tokens of a row, the answer included", "每行的词元数（含答案）"),
    "percentile": B("Percentile", "分位"),
    "tokens": B("Tokens", "词元数"),
    "scripts": B("Rows by script", "各文字的行数"),
    "script": B("Script", "文字"),
    "files": B("Files read", "读取的文件"),
    "file": B("File", "文件"),
    "split": B("Split", "划分"),
    "size": B("Size", "大小"),
    "hash": B("SHA-256", "SHA-256"),
    "recall": B("Recall", "召回率"),
    "precision": B("Precision", "精确率"),
    "accuracy_reading": B(
        "Recall: share of planted flaws that were found. Precision: share of flagged rows that are flawed.",
        "召回率：植入缺陷中被找到的比例。精确率：被标记的行中确有缺陷的比例。",
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
        "No model lock was read, so nothing says which weights were used.", "未读到模型锁，无法说明使用了哪些权重。"
    ),
}

ENVIRONMENT = {
    "created": B("Recorded at (UTC)", "记录时间（UTC）"),
    "version": B("Practicum version", "Practicum 版本"),
    "commit": B("Code commit", "代码提交"),
    "workspace": B("Commit of the student's folder", "学生目录的提交"),
    "clean": B("{commit}, clean", "{commit}，无改动"),
    "dirty": B("{commit}, with uncommitted changes", "{commit}，含未提交改动"),
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
    "locks": B("Package locks", "软件包锁"),
    "lock": B("Environment", "环境"),
    "lock_hash": B("SHA-256 of the lock", "锁文件 SHA-256"),
    "num_packages": B("Packages", "软件包数"),
    "command": B("Command that started the run", "启动本次运行的命令"),
    "files": B("What the run directory holds", "运行目录的内容"),
    "file": B("File", "文件"),
    "role": B("What it is", "是什么"),
    "none": B("No environment record was read.", "未读到环境记录。"),
}
RUN_FILES = (
    ("weekjob.yaml", B("the request, resolved", "解析后的请求")),
    ("environment.json", B("code, packages, machine", "代码、软件包、机器")),
    ("data.lock.json", B("content hashes of the data", "数据的内容哈希")),
    ("model.lock.json", B("content hashes of the model and its tokenizer", "模型与分词器的内容哈希")),
    ("events.jsonl", B("what happened when", "何时发生了什么")),
    ("stages/*/config.yaml", B("options of each step", "各步骤的选项")),
    ("stages/*/record.json", B("what each step measured", "各步骤测得的结果")),
    ("stages/*/metrics.jsonl", B("series over steps", "随步数变化的序列")),
    ("stages/*/samples.jsonl", B("inputs with outputs", "输入与输出")),
    ("stages/*/log.txt", B("everything a step printed", "步骤的全部输出")),
)

ROWS = {
    "caption": B("Rows of the course plan", "课程计划条目"),
    "row": B("Row", "条目"),
    "asks": B("What it asks for", "要求"),
    "shown": B("Shown in", "所在章节"),
    "command": B("command `{command}`", "命令 `{command}`"),
}

REPRODUCE = {
    "verify": B("Execute this run again from its record and compare", "按记录重新执行并比较"),
    "rerun": B("Start a new run with the same request", "以相同请求启动新的运行"),
    "control": B("Control run", "对照运行"),
    "factor": B("The one factor that differs", "唯一不同的因素"),
    "factor_value": B("{before} → {after}", "{before} → {after}"),
    "repeats": B("none: this run repeats its control", "无：本次运行重复其对照"),
    "more": B("Next to this run", "相关命令"),
    "summarize": B("All runs in one table", "汇总所有运行"),
    "diff": B("The factors in which two runs differ", "比较两次运行的不同因素"),
    "pointer": B(
        "Name this run “best”; moves back with `practicum pointer rollback best`",
        "将本次运行命名为“best”；可用 `practicum pointer rollback best` 回退",
    ),
}
