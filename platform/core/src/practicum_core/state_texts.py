"""What phases and reasons mean, in English and Chinese: for `practicum status` and the reference page of states.

A status in a custom resource is one text for all readers and is in English. Its reason is a word that is the same for
all of them, and from it each reader gets the meaning in their own language.
"""

from __future__ import annotations

from collections.abc import Mapping

from practicum_core.errors import Reason
from practicum_core.phases import Phase
from practicum_core.texts import Bilingual

PHASES: Mapping[Phase, Bilingual] = {
    Phase.PENDING: Bilingual("Accepted, but not started yet.", "已接受，尚未开始。"),
    Phase.QUEUED: Bilingual(
        "Waits for quota on a cluster, or for another step of the same run.", "等待集群配额，或等待同一运行的其他步骤。"
    ),
    Phase.INITIALIZING: Bilingual("Its environment or its pods are being created.", "正在创建运行环境或 Pod。"),
    Phase.RUNNING: Bilingual("At least one step is running.", "至少有一个步骤正在运行。"),
    Phase.SERVING: Bilingual(
        "Of a step: its server is ready. Of a week job: all tasks finished, and its servers are kept.",
        "步骤：服务已就绪。WeekJob：任务都已完成，服务继续保留。",
    ),
    Phase.SUSPENDED: Bilingual(
        "Stopped on request after a checkpoint; can be resumed.", "已按要求在保存检查点后停止，可以继续。"
    ),
    Phase.SUCCEEDED: Bilingual("Finished with a record.", "已完成，并留下记录。"),
    Phase.FAILED: Bilingual("Finished without a record.", "已结束，但没有留下记录。"),
}
PHASE_NAMES: Mapping[Phase, Bilingual] = {
    phase: Bilingual(phase.value, chinese)
    for phase, chinese in {
        Phase.PENDING: "待开始",
        Phase.QUEUED: "排队中",
        Phase.INITIALIZING: "启动中",
        Phase.RUNNING: "运行中",
        Phase.SERVING: "服务中",
        Phase.SUSPENDED: "已暂停",
        Phase.SUCCEEDED: "成功",
        Phase.FAILED: "失败",
    }.items()
}
REASONS: Mapping[Reason, Bilingual] = {
    Reason.CONFIG_INVALID: Bilingual(
        "The week job or a stage option is wrong; nothing was started.",
        "WeekJob 或某个阶段的选项有误，没有启动任何步骤。",
    ),
    Reason.COMPARISON_UNFAIR: Bilingual(
        "A run differs from its control in more than one factor.", "本次运行与对照运行有不止一个因素不同。"
    ),
    Reason.DATA_MISSING: Bilingual("A data file does not exist or cannot be read.", "数据文件不存在或无法读取。"),
    Reason.DATA_INVALID: Bilingual("A data file is malformed.", "数据文件格式有误。"),
    Reason.DATA_LEAKAGE: Bilingual(
        "Evaluation rows are in the training data, and no waiver allows it.", "评测数据出现在训练数据中，且没有豁免。"
    ),
    Reason.MODEL_MISSING: Bilingual("The model's files cannot be found or downloaded.", "找不到模型文件，或无法下载。"),
    Reason.PREFLIGHT_FAILED: Bilingual(
        "A check before training or serving found that it would fail or be useless.",
        "训练或提供服务前的检查发现其会失败或没有意义。",
    ),
    Reason.TRAINING_DIVERGED: Bilingual(
        "The loss became NaN, infinite, or far higher than at the start.", "损失变为 NaN、无穷大，或远高于开始时。"
    ),
    Reason.GATE_FAILED: Bilingual(
        "All steps ran, but a gate of the unit did not pass.", "所有步骤都已运行，但有门槛未通过。"
    ),
    Reason.ENVIRONMENT_MISSING: Bilingual(
        "A stage's pinned packages could not be installed.", "无法安装某个阶段所锁定版本的软件包。"
    ),
    Reason.DISK_FULL: Bilingual("The disk that the run writes to is full.", "运行所写入的磁盘已满。"),
    Reason.PERMISSION_DENIED: Bilingual(
        "The run directory or the cache cannot be written.", "无法写入运行目录或缓存。"
    ),
    Reason.OUT_OF_MEMORY: Bilingual(
        "A process was killed because it used too much memory, or the estimate predicts that.",
        "进程因占用内存过多被终止，或预估会如此。",
    ),
    Reason.STAGE_NOT_IMPLEMENTED: Bilingual(
        "The curriculum declares this stage, but this version does not have it yet.",
        "课程中有这个阶段，但当前版本尚未实现。",
    ),
    Reason.STAGE_CRASHED: Bilingual(
        "A stage ended without a record and did not report a reason.", "某个阶段没有留下记录就结束了，也没有报告原因。"
    ),
    Reason.WORKER_LOST: Bilingual(
        "Training workers died more often than the options allow.", "训练进程异常退出的次数超过了选项允许的次数。"
    ),
    Reason.UPSTREAM_UNAVAILABLE: Bilingual(
        "A required service (model hub, store, tracker) did not answer.",
        "所需的服务（模型库、存储、实验记录）没有响应。",
    ),
    Reason.RUN_BUSY: Bilingual("Another process uses this run directory.", "另一个进程正在使用这个运行目录。"),
    Reason.RUN_INCOMPLETE: Bilingual(
        "The run directory is incomplete, because writing it was interrupted.", "运行目录不完整：写入时被中断。"
    ),
    Reason.CLUSTER_MISSING: Bilingual(
        "No cluster is configured, it cannot be reached, or Practicum is not installed on it.",
        "没有配置集群、无法连接集群，或集群上没有安装 Practicum。",
    ),
    Reason.SERVER_NOT_READY: Bilingual(
        "A server started, but its readiness probe did not succeed in time.", "服务已启动，但就绪探测没有及时成功。"
    ),
    Reason.SERVING: Bilingual(
        "All tasks finished; the servers are kept until the week job is deleted or its time to live ends.",
        "任务都已完成；服务保留到 WeekJob 被删除或存活时间结束。",
    ),
    Reason.STOPPED: Bilingual(
        "Stopped on request after a checkpoint; can be resumed.", "已按要求在保存检查点后停止，可以继续。"
    ),
    Reason.INTERNAL: Bilingual("An error in Practicum itself.", "Practicum 自身的错误。"),
    Reason.DEADLINE_EXCEEDED: Bilingual(
        "Steps ran longer than ``activeDeadlineSeconds``, or than the course allows; waiting is not counted.",
        "各步骤的运行时间超过了 ``activeDeadlineSeconds`` 或课程的上限；等待时间不计。",
    ),
    Reason.PRE_RUNNING_DEADLINE_EXCEEDED: Bilingual(
        "A stage was admitted but did not start to run within ``preRunningDeadlineSeconds``.",
        "某个阶段已获准运行，但没有在 ``preRunningDeadlineSeconds`` 内开始。",
    ),
    Reason.QUEUED: Bilingual(
        "Waits in the queue until the class's share of the cluster has room.", "正在排队，等待班级的集群份额有空位。"
    ),
    Reason.QUOTA_EXCEEDED: Bilingual(
        "The quota of the namespace has no room for the stage's pods.", "命名空间的配额容不下该阶段的 Pod。"
    ),
    Reason.BUDGET_EXCEEDED: Bilingual(
        "The student's GPU hours are used up until the next reset; what ran was stopped after a checkpoint.",
        "学生的 GPU 时数已用完，需等待下次重置；正在运行的步骤已在保存检查点后停止。",
    ),
    Reason.COURSE_MISSING: Bilingual(
        "The namespace belongs to no course, or the student is no longer on its roster.",
        "命名空间不属于任何课程，或学生已不在课程名单上。",
    ),
    Reason.COURSE_SUSPENDED: Bilingual("The teacher paused the course.", "教师暂停了课程。"),
    Reason.EARLIER_WEEK_UNFINISHED: Bilingual(
        "It builds on the results of week jobs that were applied before it and have not ended.",
        "它以此前提交的 WeekJob 的结果为基础，而这些 WeekJob 尚未结束。",
    ),
    Reason.IMAGE_PULL_FAILED: Bilingual(
        "The image of a stage cannot be pulled: unknown name, no access, or no network.",
        "无法拉取某个阶段的镜像：名称不存在、没有权限或网络不通。",
    ),
    Reason.UNSCHEDULABLE: Bilingual(
        "No node can provide the resources that the stage requests.", "没有节点能提供该阶段所请求的资源。"
    ),
    Reason.POD_REFUSED: Bilingual(
        "A pod was rejected, or its container cannot be created: policy, missing volume, invalid reference.",
        "Pod 被拒绝，或无法创建其容器：策略、缺少存储卷或引用无效。",
    ),
    Reason.PREEMPTED: Bilingual(
        "Preempted by a week job of higher priority; continues from its checkpoint when there is room.",
        "被优先级更高的 WeekJob 抢占；有空位时从检查点继续。",
    ),
    Reason.EVICTED: Bilingual(
        "The node evicted the pod: not enough memory or disk, or maintenance.",
        "节点驱逐了 Pod：内存或磁盘不足，或正在维护。",
    ),
    Reason.STAGE_STARTING: Bilingual("A stage is being started.", "某个阶段正在启动。"),
    Reason.STAGE_RUNNING: Bilingual("A stage is running.", "某个阶段正在运行。"),
    Reason.GATES_PASSED: Bilingual("All steps ran, and every gate passed.", "所有步骤都已运行，所有门槛均通过。"),
}
