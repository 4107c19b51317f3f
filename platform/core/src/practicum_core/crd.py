"""Custom resource definitions, built from the models: structural schemas, rules in CEL, printer columns.

Pure: models in, documents out. What CEL cannot see (options of stages, names inside data) is the plan's to refuse.
Sources: Kubernetes documentation, "Specifying a structural schema" and "Common Expression Language in Kubernetes".
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from practicum_core.course import CourseSpec, CourseStatus
from practicum_core.curriculum import CLUSTER_TOOLS, UNITS
from practicum_core.quantities import MIN_CPU, MIN_MEMORY
from practicum_core.weekjob import WeekJobSpec, WeekJobStatus

GROUP, VERSION = "practicum.dev", "v1alpha1"
MAX_NAME_LENGTH = 40
"""Of a week job: RayJob allows 47 characters, and a child's name adds a step and an attempt."""
_MAX_TEXT = 4096
_MAX_ENTRIES = 200
_MAX_ITEMS = 2000
Schema = dict[str, Any]

_LIST_KEYS = {"Condition": "type", "Student": "name", "StudentStatus": "namespace", "Priority": "name"}
"""Model of a list's items -> the field that tells them apart. A student may have left one namespace for another."""
_KEPT = (
    "description",
    "enum",
    "default",
    "pattern",
    "maxLength",
    "minLength",
    "minItems",
    "maxItems",
    "maximum",
    "minimum",
)
_FROZEN = (
    "unit",
    "variant",
    "profile",
    "seed",
    "model",
    "data",
    "control",
    "waiveLeakage",
    "resources.workers",
    "image",
)
_URI = "^(builtin:|hf://|file:///|s3://|pvc://|latest:[a-z0-9]|run:[0-9]|pointer:[a-z0-9])"
"""An address, or a reference to an earlier run; the plan and the pod read what follows."""


@dataclass(frozen=True)
class Rule:
    """A condition in CEL that the API server checks, and the sentence it answers with."""

    expression: str
    message: str

    def to_document(self) -> Schema:
        """Return the rule as a schema holds it."""
        return {"rule": self.expression, "message": self.message}


@dataclass(frozen=True)
class Column:
    """A column of ``kubectl get``; those of ``priority`` 1 are shown with ``-o wide``."""

    name: str
    path: str
    type: str = "string"
    priority: int = 0

    def to_document(self) -> Schema:
        """Return the column as a definition holds it."""
        return {"name": self.name, "type": self.type, "jsonPath": self.path, "priority": self.priority}


@dataclass(frozen=True)
class Kind:
    """One custom resource."""

    name: str
    plural: str
    short: str
    scope: str
    description: str
    spec: type[BaseModel]
    status: type[BaseModel]
    rules: Sequence[Rule]
    columns: Sequence[Column]


def _freeze(field: str) -> Rule:
    new, old = f"self.spec.{field}", f"oldSelf.spec.{field}"
    started = "has(oldSelf.status) && has(oldSelf.status.startTime)"
    is_new, is_old = _is_given("self.spec", field), _is_given("oldSelf.spec", field)
    same = f"({is_new}) == ({is_old}) && (!({is_new}) || {new} == {old})"
    return Rule(
        f"!({started}) || ({same})", f"spec.{field} cannot change once the week job has started; make a new one"
    )


def _is_given(root: str, field: str) -> str:
    """Return a condition that holds where every part of a path is there.

    >>> _is_given("self", "resources.workers")
    'has(self.resources) && has(self.resources.workers)'
    """
    parts = field.split(".")
    return " && ".join(f"has({root}.{'.'.join(parts[: end + 1])})" for end in range(len(parts)))


def _bound_cpu(field: str) -> Rule:
    given, value = _is_given("self.spec", field), f"self.spec.{field}"
    is_enough = f"quantity({value}).compareTo(quantity('{MIN_CPU}')) >= 0"
    return Rule(f"!({given}) || !isQuantity({value}) || {is_enough}", f"spec.{field} is at least {MIN_CPU}")


def _bound_memory(field: str) -> Rule:
    given, value = _is_given("self.spec", field), f"self.spec.{field}"
    is_enough = f"quantity({value}).compareTo(quantity('{MIN_MEMORY}')) >= 0"
    return Rule(
        f"!({given}) || !isQuantity({value}) || {value}.endsWith('m') || {is_enough}",
        f"spec.{field} is at least {MIN_MEMORY}",
    )


def _refuse_milli(field: str) -> Rule:
    given, value = _is_given("self.spec", field), f"self.spec.{field}"
    return Rule(f"!({given}) || !{value}.endsWith('m')", f"spec.{field} is in bytes: m is a thousandth, write Mi")


WEEK_JOB = Kind(
    "WeekJob",
    "weekjobs",
    "wj",
    "Namespaced",
    "One student's run of a unit of the course: kubectl apply it, and it ends with evidence and gates.",
    WeekJobSpec,
    WeekJobStatus,
    (
        Rule(
            f"self.metadata.name.size() <= {MAX_NAME_LENGTH}",
            f"metadata.name may have {MAX_NAME_LENGTH} characters, so that every child's name fits",
        ),
        Rule(
            "self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')",
            "metadata.name starts with a letter and has lower-case letters, digits and dashes only",
        ),
        Rule(
            f"!has(self.spec.model) || !has(self.spec.model.uri) || self.spec.model.uri.matches('{_URI}')",
            "spec.model.uri starts with builtin:, hf://, file:///, s3://, pvc://, latest:, run: or pointer:",
        ),
        Rule(
            f"!has(self.spec.data) || !has(self.spec.data.uri) || self.spec.data.uri.matches('{_URI}')",
            "spec.data.uri starts with builtin:, hf://, file:///, s3://, pvc://, latest:, run: or pointer:",
        ),
        Rule(
            "!has(self.spec.serving) || !has(self.spec.serving.minReplicas) || !has(self.spec.serving.maxReplicas) || "
            "self.spec.serving.minReplicas <= self.spec.serving.maxReplicas",
            "spec.serving.minReplicas may not be above maxReplicas",
        ),
        _bound_cpu("resources.cpu"),
        _bound_memory("resources.memory"),
        _refuse_milli("resources.memory"),
        *(_freeze(field) for field in _FROZEN),
        Rule(
            "!has(oldSelf.status) || !has(oldSelf.status.startTime) || !has(oldSelf.status.phase) || "
            "!(oldSelf.status.phase in ['Succeeded', 'Failed']) || self.spec == oldSelf.spec",
            "spec cannot change once the week job has ended: delete it, or make a new one",
        ),
    ),
    (
        Column("Student", ".metadata.namespace"),
        Column("Unit", ".spec.unit"),
        Column("Phase", ".status.phase"),
        Column("Stage", ".status.stage"),
        Column("Progress", ".status.progress"),
        Column("Queue", ".status.queue.position", "integer"),
        Column("Gates", ".status.gatesPassed"),
        Column("Age", ".metadata.creationTimestamp", "date"),
        Column("Reason", ".status.reason", priority=1),
        Column("Message", ".status.message", priority=1),
    ),
)

COURSE = Kind(
    "Course",
    "courses",
    "crs",
    "Cluster",
    "A class: its students, what they share, and how much each may use.",
    CourseSpec,
    CourseStatus,
    (
        Rule(
            "self.metadata.name.size() <= 40", "metadata.name may have 40 characters, so that every queue's name fits"
        ),
        Rule(
            "!has(self.spec.gpu) || self.spec.gpu.sharing != 'mig' || has(self.spec.gpu.migProfile)",
            "spec.gpu.migProfile is needed where sharing is mig",
        ),
        Rule(
            "!has(self.spec.gpu) || !has(self.spec.gpu.resourceName) || (self.spec.gpu.resourceName.contains('/') && "
            "!self.spec.gpu.resourceName.matches('^([^/]*[.])?kubernetes[.]io/'))",
            "spec.gpu.resourceName is an extended resource with its vendor's domain, such as nvidia.com/gpu",
        ),
        *(_bound_cpu(field) for field in ("quota.cpu", "stageResources.cpu")),
        *(_bound_memory(field) for field in ("quota.memory", "stageResources.memory")),
        *(
            _refuse_milli(field)
            for field in ("queue.memory", "quota.memory", "stageResources.memory", "workspace.size")
        ),
        Rule(
            "!has(self.spec.students) || self.spec.students.all(s, !(has(s.__namespace__) ? s.__namespace__ : s.name)"
            ".matches('^(kube-.*|default|practicum-system|kueue-system)$'))",
            "a student's namespace may not be one of the system's",
        ),
    ),
    (
        Column("Weeks", ".spec.variant", "integer"),
        Column("Students", ".status.numStudents", "integer"),
        Column("Phase", ".status.phase"),
        Column("Age", ".metadata.creationTimestamp", "date"),
        Column("Message", ".status.message", priority=1),
    ),
)

KINDS = (WEEK_JOB, COURSE)


def build_crd(kind: Kind) -> Schema:
    """Return the CustomResourceDefinition of a kind.

    >>> build_crd(WEEK_JOB)["metadata"]["name"]
    'weekjobs.practicum.dev'
    """
    names = {"kind": kind.name, "listKind": f"{kind.name}List", "plural": kind.plural, "singular": kind.name.lower()}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{kind.plural}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "scope": kind.scope,
            "names": {**names, "shortNames": [kind.short], "categories": ["practicum"]},
            "versions": [
                {
                    "name": VERSION,
                    "served": True,
                    "storage": True,
                    "subresources": {"status": {}},
                    "additionalPrinterColumns": [column.to_document() for column in kind.columns],
                    "schema": {"openAPIV3Schema": _build_root(kind)},
                }
            ],
        },
    }


def _build_root(kind: Kind) -> Schema:
    spec = build_schema(kind.spec)
    if kind is WEEK_JOB:
        spec["properties"]["unit"]["enum"] = [*UNITS, *CLUSTER_TOOLS]
    return {
        "type": "object",
        "description": kind.description,
        "required": ["spec"],
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"type": "object"},
            "spec": spec,
            "status": _drop_defaults(build_schema(kind.status)),
        },
        "x-kubernetes-validations": [rule.to_document() for rule in kind.rules],
    }


def build_schema(model: type[BaseModel]) -> Schema:
    """Return the structural schema of a model: no references, no alternatives, every object closed."""
    document = model.model_json_schema(by_alias=True)
    return _convert(document, document.get("$defs", {}))


def _convert(node: Mapping[str, Any], definitions: Mapping[str, Any]) -> Schema:
    merged = _resolve(node, definitions)
    if "anyOf" in merged:
        return {"description": merged.get("description", ""), "x-kubernetes-preserve-unknown-fields": True}
    schema: Schema = {"type": merged["type"]} | {key: merged[key] for key in _KEPT if merged.get(key) is not None}
    if "description" in schema:
        schema["description"] = inspect.cleandoc(schema["description"]).replace("``", "")
    if "const" in merged:
        schema["enum"] = [merged["const"]]
    for bound, limit in (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")):
        if bound in merged:
            schema |= {limit: merged[bound], bound: True}
    match merged["type"]:
        case "string" if "enum" not in schema:
            schema.setdefault("maxLength", _MAX_TEXT)
        case "integer":
            schema["format"] = "int64"
        case "array":
            schema |= _convert_list(merged, definitions)
        case "object":
            schema |= _convert_object(merged, definitions)
    return schema


def _resolve(node: Mapping[str, Any], definitions: Mapping[str, Any]) -> Schema:
    """Follow references and take the one alternative that is not null; what stands beside them wins."""
    merged = dict(node)
    while True:
        if "$ref" in merged:
            target = definitions[merged.pop("$ref").rpartition("/")[2]]
        elif "anyOf" in merged and len(rest := _without_null(merged["anyOf"])) == 1:
            del merged["anyOf"]
            target = rest[0]
        else:
            return merged
        merged = {**target, **merged}


def _without_null(alternatives: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return [one for one in alternatives if one.get("type") != "null"]


def _convert_list(merged: Mapping[str, Any], definitions: Mapping[str, Any]) -> Schema:
    schema: Schema = {"items": _convert(merged["items"], definitions), "maxItems": merged.get("maxItems", _MAX_ITEMS)}
    key = _LIST_KEYS.get(merged["items"].get("$ref", "").rpartition("/")[2])
    if key is not None:
        schema["items"]["required"] = sorted({*schema["items"].get("required", ()), key})
        schema |= {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": [key]}
    return schema


def _convert_object(merged: Mapping[str, Any], definitions: Mapping[str, Any]) -> Schema:
    if "properties" not in merged:
        values = merged.get("additionalProperties", {})
        return {"additionalProperties": _convert(values, definitions), "maxProperties": _MAX_ENTRIES}
    properties = {key: _convert(value, definitions) for key, value in merged["properties"].items()}
    for key, value in properties.items():
        # An object's own defaults take effect only where the object itself is there.
        is_optional = key not in merged.get("required", ()) and "default" not in merged["properties"][key]
        if value.get("type") == "object" and "properties" in value and is_optional and not value.get("required"):
            value["default"] = {}
    schema: Schema = {"properties": properties}
    if merged.get("required"):
        schema["required"] = list(merged["required"])
    return schema


def _drop_defaults(schema: Schema) -> Schema:
    cleaned = {key: value for key, value in schema.items() if key != "default"}
    if "properties" in cleaned:
        cleaned["properties"] = {key: _drop_defaults(value) for key, value in cleaned["properties"].items()}
    if "items" in cleaned:
        cleaned["items"] = _drop_defaults(cleaned["items"])
    return cleaned
