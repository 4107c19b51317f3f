"""The deployment of a week job on a cluster, from its pods, its specification and its status. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from practicum_core import labels
from practicum_core.deployment import Component, Deployment, Limit, Words
from practicum_core.resolve import ResolvedStep, resolve_unit
from practicum_core.texts import Bilingual
from practicum_core.weekjob import StageStatus, WeekJob, WeekJobStatus

Document = Mapping[str, Any]
_READY = Bilingual("{ready} of {total} pods ready", "{total} 个 pod 中 {ready} 个就绪")
_NONE = Bilingual("no pod runs", "没有 pod 在运行")
_CPU = Bilingual("CPU of a pod: asked, at most", "单个 pod 的 CPU：申请，上限")
_MEMORY = Bilingual("memory of a pod: asked, at most", "单个 pod 的内存：申请，上限")
_GATE = Bilingual("a gate was not passed: {title}", "未通过门槛：{title}")
_ONE_POD = Bilingual(
    "{step} runs in one pod: while that is replaced, nothing of it answers", "{step} 只有一个 pod：替换期间无法应答"
)
_RESTARTED = Bilingual("{step} was started again {num} times", "{step} 被重新启动了 {num} 次")


def describe_week_job(
    weekjob: WeekJob, status: WeekJobStatus, pods: Sequence[Document], made_at: str, cluster: str
) -> Deployment:
    """Describe the servers of a week job.

    Args:
        weekjob: What was asked for.
        status: What became of it.
        pods: Of the week job, as the cluster has them.
        made_at: Now, in ISO 8601.
        cluster: Address of the API server.
    """
    resolved = resolve_unit(weekjob)
    stages = {one.name: one for one in status.stages}
    servers = [step for step in resolved.steps if step.spec.is_server]
    components = [_build_component(step, stages.get(step.name), _list_pods(step, pods)) for step in servers]
    images = [image for one in components for image in one.versions.values()]
    titles = {gate.name: Bilingual(gate.title_en, gate.title_zh) for gate in resolved.unit.gates}
    weaknesses = [_GATE.format(title=titles[one.name]) for one in status.gates if not one.passed and one.name in titles]
    for step in servers:
        own, seen = _list_pods(step, pods), stages.get(step.name)
        if len(own) == 1:
            weaknesses.append(_ONE_POD.format(step=step.name))
        num = max((seen.restarts or 0) if seen else 0, sum(map(_count_restarts, own)))
        if num:
            weaknesses.append(_RESTARTED.format(step=step.name, num=num))
    return Deployment(
        subject=f"{weekjob.metadata.namespace}/{weekjob.metadata.name}",
        made_at=made_at,
        version=", ".join(sorted({image.rpartition(":")[2] for image in images})) or "unknown",
        machine=cluster,
        components=components,
        rungs=None,
        tried=None,
        alerts=None,
        weaknesses=[Words.of(text) for text in weaknesses],
    )


def _list_pods(step: ResolvedStep, pods: Sequence[Document]) -> list[Document]:
    return [
        pod
        for pod in pods
        if pod["metadata"].get("labels", {}).get(labels.STEP) == step.name
        and not pod["metadata"].get("deletionTimestamp")
    ]


def _build_component(step: ResolvedStep, seen: StageStatus | None, pods: Sequence[Document]) -> Component:
    containers = [pod["spec"]["containers"][0] for pod in pods if pod.get("spec", {}).get("containers")]
    num_ready = sum(map(_is_ready, pods))
    state = _READY.format(ready=num_ready, total=len(pods)) if pods else _NONE
    values = step.config.model_dump()
    limits = [
        Limit(title=Words.of(title), value=str(values[name]))
        for name, title in step.spec.limits.items()
        if values.get(name) not in (None, "", ())
    ]
    probe = containers[0].get("startupProbe", {}) if containers else {}
    return Component(
        name=step.name,
        title=Words.of(step.spec.title),
        url=(seen.endpoint if seen else None) or "",
        state=Words.of(state),
        is_ready=bool(pods) and num_ready == len(pods),
        versions={one["name"]: one["image"] for one in containers[:1]},
        ready_path=_read_path(containers, "readinessProbe"),
        live_path=_read_path(containers, "livenessProbe"),
        startup_s=float(probe.get("failureThreshold", 0) * probe.get("periodSeconds", 10)),
        limits=[*_list_resources(containers[:1]), *limits],
    )


def _list_resources(containers: Sequence[Document]) -> list[Limit]:
    found = []
    for container in containers:
        resources = container.get("resources", {})
        for name, title in (("cpu", _CPU), ("memory", _MEMORY)):
            asked, most = (resources.get(kind, {}).get(name, "–") for kind in ("requests", "limits"))
            found.append(Limit(title=Words.of(title), value=f"{asked}, {most}"))
    return found


def _read_path(containers: Sequence[Document], probe: str) -> str:
    return str(containers[0].get(probe, {}).get("httpGet", {}).get("path", "")) if containers else ""


def _is_ready(pod: Document) -> bool:
    conditions = pod.get("status", {}).get("conditions") or ()
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)


def _count_restarts(pod: Document) -> int:
    return sum(one.get("restartCount", 0) for one in pod.get("status", {}).get("containerStatuses") or ())
