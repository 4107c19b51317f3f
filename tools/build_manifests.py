"""Writes manifests/ and the chart's copy of the custom resource definitions. A test fails when the files differ.

The files are generated from the models and the curriculum. The file of a week names only its unit, so new stages in a
unit do not change it. :data:`EXTRAS` holds what the file of a week sets in addition.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "platform/core/src")]

from practicum_core.crd import COURSE, GROUP, KINDS, VERSION, WEEK_JOB, Kind, build_crd  # noqa: E402 - the path is set first
from practicum_core.curriculum import UNITS, VARIANTS  # noqa: E402
from practicum_core.units.unit import Unit  # noqa: E402

NOTICE = "# Written by `make docs` from the models. Do not edit.\n"
API_VERSION = f"{GROUP}/{VERSION}"
OVERLAY_VARIANT = 10
WEEK_LABEL = f"{GROUP}/week"
PART_LABEL = "app.kubernetes.io/component"
_KUSTOMIZATION = "Kustomization"
"""The name that `kubectl apply -f FOLDER` leaves out: it applies all *.yaml, and a kustomization is no object."""
UNITS_WITHOUT_GPU = frozenset({"data", "dossier"})
"""Units whose stages use no GPU."""
ACTIVE_DEADLINE_S = 4 * 3600
PRE_RUNNING_DEADLINE_S = 1800
"""Pulling an image of several gigabytes takes minutes; after half an hour without a running container it has failed."""

EXTRAS: Mapping[str, Mapping[str, Any]] = {
    "sft": {"resources": {"workers": 1, "gpu": {"slices": 0}}},
    "data-and-sft": {"resources": {"workers": 1, "gpu": {"slices": 0}}},
}
"""Additional fields in the week files of units: GPU slices for training, replicas for serving."""

KIND_WEEK = {"profile": "quick", "resources": {"cpu": "1", "memory": "5Gi"}}
KIND_COURSE = {
    "queue": {"cpu": "3", "memory": "12Gi", "slices": 0},
    "quota": {"cpu": "3", "memory": "12Gi", "slices": 0},
    "workspace": {"size": "5Gi", "accessMode": "ReadWriteOnce"},
}
GPU_WEEK = {
    "profile": "full",
    "model": {"uri": "hf://Qwen/Qwen2.5-0.5B-Instruct"},
    "resources": {"cpu": "4", "memory": "24Gi"},
}
GPU_SHARE = {"resources": {"gpu": {"slices": 1}}}
GPU_COURSE = {
    "gpu": {"sharing": "time-sliced", "slicesPerGpu": 4},
    "queue": {"cpu": "32", "memory": "256Gi", "slices": 16},
    "quota": {"cpu": "13", "memory": "80Gi", "slices": 2},
    "budget": {"gpuHoursPerWeek": 10},
}


def build_files() -> dict[str, str]:
    """Return the text of every generated file by its path in the repository."""
    files = {}
    for kind in KINDS:
        text = NOTICE + _dump(build_crd(kind))
        files[f"manifests/crds/{_get_crd_file(kind)}"] = text
        files[f"charts/practicum/files/crds/{_get_crd_file(kind)}"] = text
    files[f"manifests/crds/{_KUSTOMIZATION}"] = NOTICE + _dump(
        _build_kustomization([_get_crd_file(kind) for kind in KINDS])
    )
    for variant in VARIANTS:
        files |= {f"manifests/course-{variant}/{name}": text for name, text in _build_course_folder(variant).items()}
    for name, week, course in (("kind", KIND_WEEK, KIND_COURSE), ("gpu", GPU_WEEK, GPU_COURSE)):
        files[f"manifests/overlays/{name}/kustomization.yaml"] = _build_overlay(name, week, course)
    return files


def _get_crd_file(kind: Kind) -> str:
    return f"{GROUP}_{kind.plural}.yaml"


def _build_course_folder(variant: int) -> dict[str, str]:
    weeks = {
        f"week-{number:02d}.yaml": _build_week_file(number, UNITS[name], variant)
        for number, name in enumerate(VARIANTS[variant], start=1)
    }
    kustomization = _build_kustomization(["course.yaml", *weeks])
    return {
        **weeks,
        "course.yaml": _build_course_file(variant),
        _KUSTOMIZATION: NOTICE + _dump(kustomization),
    }


def _build_kustomization(resources: list[str]) -> dict[str, Any]:
    return {"apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization", "resources": resources}


def build_week(number: int, unit: Unit, variant: int) -> dict[str, Any]:
    """Return the week job of one week of a variant."""
    name = f"week-{number:02d}"
    return {
        "apiVersion": API_VERSION,
        "kind": WEEK_JOB.name,
        "metadata": {"name": name, "labels": {WEEK_LABEL: name, PART_LABEL: "week-job"}},
        "spec": {
            "unit": unit.name,
            "variant": variant,
            "model": {"uri": "builtin:smollm2-135m"},
            "data": {"uri": unit.data_uri},
            **EXTRAS.get(unit.name, {}),
            "activeDeadlineSeconds": ACTIVE_DEADLINE_S,
            "preRunningDeadlineSeconds": PRE_RUNNING_DEADLINE_S,
            "backoffLimit": 1,
        },
    }


def _build_week_file(number: int, unit: Unit, variant: int) -> str:
    path = f"manifests/course-{variant}/week-{number:02d}.yaml"
    lines = [
        f"Week {number} of {variant}: {unit.title_en}",
        f"第 {number} 周（共 {variant} 周）：{unit.title_zh}",
        "",
        f"Goal: {unit.goal_en}",
    ]
    if unit.goal_zh != unit.goal_en:
        lines.append(f"目标：{unit.goal_zh}")
    if unit.gates:
        lines += ["", "Gates · 门槛:"]
        lines += [f"  {gate.name}: {gate.title_en} · {gate.title_zh}" for gate in unit.gates]
    if not unit.is_implemented:
        lines += [
            "",
            "Not in this version: the platform accepts it and says so.",
            "本版本尚未实现：平台会接受该文件，并在状态中说明。",
        ]
    lines += [
        "",
        f"On a cluster · 在集群上:    kubectl apply -n student-01 -f {path}",
        f"On this machine · 在本机:   practicum run {path}",
    ]
    return NOTICE + _comment(lines) + _dump(build_week(number, unit, variant))


_STUDENT_MEMORY, _CLASS_MEMORY = "20Gi", "40Gi"
"""Of a student who applies the whole course at once: all servers of two weeks and a step that asks one of them. With
less, the servers of one week would wait for the end of the other's. The last of 12 weeks needs as much by itself.
"""


def build_course(variant: int) -> dict[str, Any]:
    """Return the sample course of a variant: two students who share one GPU."""
    capstones = [name for name in VARIANTS[variant] if name.startswith("capstone")]
    return {
        "apiVersion": API_VERSION,
        "kind": COURSE.name,
        "metadata": {"name": f"llm-{variant}", "labels": {PART_LABEL: "course"}},
        "spec": {
            "variant": variant,
            "students": [{"name": name, "subjects": [name]} for name in ("student-01", "student-02")],
            "gpu": {"sharing": "whole"},
            "queue": {"cpu": "8", "memory": _CLASS_MEMORY, "slices": 1},
            "quota": {"cpu": "4", "memory": _STUDENT_MEMORY, "slices": 1},
            "stageResources": {"cpu": "1", "memory": "6Gi"},
            "workspace": {"size": "20Gi"},
            "priorities": [{"name": "normal", "value": 0}, {"name": "capstone", "value": 1000, "units": capstones}],
            "budget": {"gpuHoursPerWeek": 10, "resetsOn": "Mon"},
        },
    }


def _build_course_file(variant: int) -> str:
    lines = [
        f"A class of two students on the {variant}-week course, sharing one GPU. A teacher applies it once.",
        f"{variant} 周课程的一个班：两名学生共用一块 GPU。由教师执行一次 kubectl apply。",
        "",
        "Makes for each student: a namespace, a quota, network rules, rights, a volume and a queue.",
        "为每名学生创建：命名空间、配额、网络规则、权限、存储卷与队列。",
        "",
        f"kubectl apply -f manifests/course-{variant}/course.yaml",
    ]
    return NOTICE + _comment(lines) + _dump(build_course(variant))


def _build_overlay(name: str, week: Mapping[str, Any], course: Mapping[str, Any]) -> str:
    words = {
        "kind": ("sized for kind on a laptop: small pods, no GPU", "适合笔记本上的 kind：小 Pod，无 GPU"),
        "gpu": ("sized for GPUs that are shared four ways in time", "适合以时间片方式分为四份的 GPU"),
    }
    lines = [
        f"The {OVERLAY_VARIANT}-week course {words[name][0]}.",
        f"{OVERLAY_VARIANT} 周课程，{words[name][1]}。",
        "",
        f"kubectl kustomize manifests/overlays/{name} | kubectl apply -l {PART_LABEL}=course -f -",
        f"kubectl kustomize manifests/overlays/{name} | kubectl apply -n student-01 -l {WEEK_LABEL}=week-03 -f -",
    ]
    patches = [_build_patch(WEEK_JOB, ".*", week), _build_patch(COURSE, ".*", course)]
    if name == "gpu":
        patches.append(_build_patch(WEEK_JOB, _match_gpu_weeks(VARIANTS[OVERLAY_VARIANT]), GPU_SHARE))
    document = {**_build_kustomization([f"../../course-{OVERLAY_VARIANT}"]), "patches": patches}
    return NOTICE + _comment(lines) + _dump(document)


def _match_gpu_weeks(weeks: tuple[str, ...]) -> str:
    numbers = [f"{number:02d}" for number, unit in enumerate(weeks, start=1) if unit not in UNITS_WITHOUT_GPU]
    return f"week-({'|'.join(numbers)})"


def _build_patch(kind: Kind, name: str, spec: Mapping[str, Any]) -> dict[str, Any]:
    target = {"group": GROUP, "version": VERSION, "kind": kind.name, "name": name}
    patch = {"apiVersion": API_VERSION, "kind": kind.name, "metadata": {"name": "any"}, "spec": dict(spec)}
    return {"target": target, "patch": _Block(_dump(patch))}


class _Block(str):
    """Text that is written as a YAML block scalar."""

    __slots__ = ()


class _Dumper(yaml.SafeDumper):
    """Writes lists indented below their key, and :class:`_Block` as a block."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: FBT001, FBT002 - PyYAML's
        del indentless
        super().increase_indent(flow, indentless=False)


_Dumper.add_representer(
    _Block, lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", str(text), style="|")
)


def _dump(document: Mapping[str, Any]) -> str:
    return yaml.dump(dict(document), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=110)


def _comment(lines: list[str]) -> str:
    return "".join(f"# {line}".rstrip() + "\n" for line in lines)


def main() -> None:
    """Write every file and remove generated files that have no source any more."""
    files = build_files()
    folders = {(ROOT / name).parent for name in files}
    for folder in folders:
        folder.mkdir(parents=True, exist_ok=True)
        for path in folder.glob("*.yaml"):
            if str(path.relative_to(ROOT)) not in files:
                path.unlink()
    for name, text in files.items():
        (ROOT / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
