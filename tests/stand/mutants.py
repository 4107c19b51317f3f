"""Week jobs and courses with something wrong in them, made from valid ones along the schema of their definition.

Most mutations stay close to what the API server accepts: values at and beyond the bounds of a field, texts of the same
kind, options of other steps. What is far from it the API server refuses, and then the controller never sees it.
"""

from __future__ import annotations

import copy
import random
from collections.abc import Iterable
from typing import Any

from practicum_core.crd import COURSE, WEEK_JOB, build_crd
from practicum_core.curriculum import UNITS
from practicum_core.stages import STAGES

JSON = dict[str, Any]
TEXTS = (
    "", " ", "0", "-", ".", "..", "../../etc/passwd", "a\nb", "a\tb", "\u0000", "\u202e学生", "é" * 300, "x" * 64,
    "x" * 5000, "None", "null", "true", "{{ .Values }}", "${HOME}", "$(PATH)", "%s %(name)s {0}", "<b>", "'; drop",
)  # fmt: skip
URIS = (
    "builtin:", "builtin:none", "builtin:tickets?rows=0", "builtin:tickets?rows=many&rows=2", "builtin:tickets?&&=",
    "builtin:tickets-flawed", "hf://", "hf://a", "hf://a/b@", "hf://a/b/c/d", "file:///", "file:///workspace/../..",
    "file:///%00", "s3://", "s3://b", "s3:///k", "pvc://", "pvc://workspace", "pvc://workspace/../a", "pvc://other/a b",
    "latest:sft", "latest:sft/merged", "latest:none/x", "latest:sft//", "run:20260102t030405-0a1b2c/merged", "run:9",
    "pointer:best", "pointer:b/../c", "pointer:b/" + "x/" * 500,
)  # fmt: skip
QUANTITIES = (
    "0", "-1", "+1", "1n", "1u", "9.9m", "10m", "100m", "0.0001", "1.5", ".5", "5.", "1e3", "1E3", "1e-3", "1e30",
    "1E-30", "9223372036854775807", "9223372036854775808", "1Ki", "16Mi", "15.9Mi", "1.5Gi", "8Ei", "9000Ei", "1e3Mi",
    "1 Gi", "1GB",
)  # fmt: skip
TIMES = (
    "2026-01-02T03:04:05Z", "2026-01-02T03:04:05+00:00", "2026-13-01T00:00:00Z", "2026-01-02T25:00:00Z", "2026-01-02",
    "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "9999-12-31T23:59:59-23:59", "2026-01-02T03:04:05.999999999Z",
    "2026-01-02T03:04:05", "now",
)  # fmt: skip
NAMES = (
    "a",
    "x" * 40,
    "urgent",
    "normal",
    "none",
    "base",
    "train",
    "spot",
    "kube-system",
    "default",
    "practicum-system",
)
POOLS = {
    "unit": tuple(name for name, unit in UNITS.items() if all(step.stage in STAGES for step in unit.steps)),
    **dict.fromkeys(("uri", "control", "image"), URIS),
    **dict.fromkeys(("cpu", "memory", "size"), QUANTITIES),
    **dict.fromkeys(
        ("name", "namespace", "priorityClassName", "cohort", "storageClassName", "units", "subjects"), NAMES
    ),
    "resourceName": ("nvidia.com/gpu", "a.b/c", "cpu", "amd.com/gpu", "x.example/" + "y" * 60, "x.example/" + "y" * 70),
    **dict.fromkeys(("startTime", "activeSince", "completionTime", "lastTransitionTime"), TIMES),
    "migProfile": ("1g.5gb", "7g.80gb", "1g.10gb.me", "9g.999999999999gb"),
}
"""Texts that are worth trying in the fields of these names."""
NUMBERS = (0, 1, -1, 2, 59, 60, 2**31, 2**53 + 1, 2**63 - 1, 2**63, -(2**63), 10**30, 0.1, -0.5, 1.0, 1e-300, 1e308)
OTHERS = (None, True, False, 0, -1, 0.5, "", "x", [], {}, [None], [[]], {"a": None}, ["a", 1], [{"name": "a"}])


def build_weeks() -> list[JSON]:
    """Return specifications of week jobs to start from: each unit of this version alone, and with every field given."""
    rich = {
        "profile": "quick",
        "variant": 10,
        "seed": 7,
        "model": {"uri": "builtin:smollm2-135m"},
        "data": {"uri": "builtin:tickets?rows=200&language=en&seed=3"},
        "control": "20260102t030405-0a1b2c",
        "waiveLeakage": ["exact:train-test"],
        "resources": {"gpu": {"slices": 1}, "workers": 2, "cpu": "500m", "memory": "2Gi"},
        "serving": {"engine": "kserve", "minReplicas": 1, "maxReplicas": 3, "keep": True, "maxRestarts": 1},
        "image": "localhost/practicum-base:dev",
        "priorityClassName": "urgent",
        "suspend": False,
        "activeDeadlineSeconds": 600,
        "preRunningDeadlineSeconds": 60,
        "backoffLimit": 1,
        "ttlSecondsAfterFinished": 60,
    }
    alone = [{"unit": unit, "profile": "quick"} for unit in POOLS["unit"]]
    return [*alone, *({**rich, **one} for one in alone)]


def build_courses() -> list[JSON]:
    """Return specifications of courses to start from. Students are named when a course is written."""
    rich = {
        "variant": 10,
        "images": {"base": "localhost/practicum-base:dev"},
        "allowImages": True,
        "gpu": {"sharing": "mig", "migProfile": "1g.10gb", "slicesPerGpu": 7},
        "queue": {
            "cpu": "8",
            "memory": "32Gi",
            "slices": 2,
            "cohort": "all",
            "fairSharing": True,
            "nodeLabels": {"a": "b"},
        },
        "quota": {"cpu": "4", "memory": "16Gi", "slices": 2, "pods": 20, "weekJobs": 10_000},
        "stageResources": {"cpu": "500m", "memory": "2Gi"},
        "workspace": {"size": "20Gi", "storageClassName": "fast", "accessMode": "ReadWriteOnce"},
        "priorities": [{"name": "urgent", "value": 100, "units": ["sft"]}, {"name": "normal", "value": 0}],
        "budget": {"gpuHoursPerWeek": 10, "resetsOn": "Mon", "stopsRunning": True},
        "maxActiveDeadlineSeconds": 86_400,
        "suspend": False,
    }
    return [{}, rich]


def list_options(units: Iterable[str]) -> list[str]:
    """Return the name of every option of every step of units, as ``set`` has it."""
    steps = {(step.name, step.stage) for unit in units for step in UNITS[unit].steps}
    return sorted(
        f"{step}.{option}" for step, stage in steps if stage in STAGES for option in STAGES[stage].config.model_fields
    )


class Mutator:
    """Changes specifications at random, along their schema.

    Args:
        dice: Where chance comes from.
        kind: ``WeekJob`` or ``Course``.
    """

    def __init__(self, dice: random.Random, kind: str) -> None:
        definition = build_crd(WEEK_JOB if kind == "WeekJob" else COURSE)["spec"]["versions"][0]
        root = definition["schema"]["openAPIV3Schema"]["properties"]
        self.spec_schema, self.status_schema = root["spec"], root["status"]
        self._dice = dice
        self._options = self._near = list_options(UNITS)

    def mutate(self, spec: JSON) -> JSON:
        """Return the specification with one to four changes."""
        changed = copy.deepcopy(spec)
        if "unit" in spec:
            self._near = list_options([spec["unit"]]) or self._options
        for _ in range(self._dice.choice((1, 1, 1, 2, 2, 3, 4))):
            self._change(self.spec_schema, changed)
        return changed

    def build_status(self) -> JSON:
        """Return some fields of a status, as somebody with too many rights may write them."""
        fields = self.status_schema["properties"]
        names = self._dice.sample(list(fields), self._dice.choice((1, 1, 2, 3)))
        return {name: self._invent(fields[name], name) for name in names}

    def _change(self, schema: JSON, place: JSON) -> None:
        """Change one field in the object, or in one inside."""
        dice = self._dice
        properties = schema.get("properties")
        if properties is None or dice.random() < 0.03:
            strange = (*self._options, "sft.none", "sft", ".", "", "a.b.c")
            known = self._near if dice.random() < 0.8 else strange
            key = "unknown" if properties is not None else dice.choice(known)
            place[key] = dice.choice((*OTHERS, *TEXTS, *NUMBERS, *URIS))
            return
        key = "set" if "set" in properties and dice.random() < 0.3 else dice.choice(list(properties))
        inner = properties[key]
        if inner.get("type") == "object" and dice.random() < 0.8:
            value = place.get(key)
            place[key] = value = value if isinstance(value, dict) else {}
            self._change(inner, value)
        elif dice.random() < 0.1:
            place.pop(key, None)
        else:
            place[key] = self._invent(inner, key)

    def _invent(self, schema: JSON, name: str = "") -> Any:
        dice = self._dice
        kind = schema.get("type")
        if kind is None or dice.random() < 0.03:
            return dice.choice((*OTHERS, *TEXTS, *NUMBERS) if kind is None else OTHERS)
        if kind == "string":
            return self._invent_text(schema, name)
        if kind == "object":
            return self._invent_object(schema)
        if kind == "array":
            number = dice.choice((0, 1, 1, 2, 3, schema["maxItems"] + 1 if schema["maxItems"] < 300 else 4))
            return [self._invent(schema["items"], name) for _ in range(number)]
        return dice.choice((True, False)) if kind == "boolean" else self._invent_number(schema)

    def _invent_number(self, schema: JSON) -> float:
        dice = self._dice
        near = [schema[bound] + step for bound in ("minimum", "maximum") if bound in schema for step in (0, 0, -1, 1)]
        return dice.choice(NUMBERS) if not near or dice.random() < 0.3 else dice.choice(near)

    def _invent_text(self, schema: JSON, name: str) -> str:
        dice = self._dice
        if dice.random() < 0.8 and (usual := POOLS.get(name) or schema.get("enum")):
            return dice.choice(usual)
        longest = [text * schema.get("maxLength", 64) for text in ("x", "学")]
        return dice.choice((*longest, *QUANTITIES, *URIS, *NAMES, *TEXTS))

    def _invent_object(self, schema: JSON) -> JSON:
        dice = self._dice
        properties = schema.get("properties")
        if properties is None:
            keys = [dice.choice((*self._options, *TEXTS, "base", "train")) for _ in range(dice.randrange(4))]
            return {key: self._invent(schema.get("additionalProperties", {})) for key in keys}
        wanted = [key for key in properties if key in schema.get("required", ()) or dice.random() < 0.4]
        return {key: self._invent(properties[key], key) for key in wanted}
