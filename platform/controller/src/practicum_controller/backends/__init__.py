"""Kinds of objects that run a step, one module each, and the one place where a step's kind is chosen."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from practicum_controller.backends.backend import Backend
from practicum_controller.backends.deployment import DeploymentBackend
from practicum_controller.backends.inference_service import InferenceServiceBackend
from practicum_controller.backends.job import JobBackend
from practicum_controller.backends.ray_job import RayJobBackend
from practicum_controller.backends.ray_service import RayServiceBackend
from practicum_controller.backends.request import ChildRequest
from practicum_core.stages.spec import Runner

__all__ = ["BACKENDS", "CHILD_KINDS", "ChildRequest", "choose_backend", "get_backend"]

_RUNNERS: Mapping[Runner, Backend] = MappingProxyType({Runner.PROCESS: JobBackend(), Runner.RAY: RayJobBackend()})
_SERVERS: Mapping[str, Backend] = MappingProxyType(
    {"local": DeploymentBackend(), "kserve": InferenceServiceBackend(), "rayserve": RayServiceBackend()}
)
"""``spec.serving.engine`` -> what runs servers of models."""
_ALL = (*_RUNNERS.values(), *_SERVERS.values())
BACKENDS: Mapping[str, Backend] = MappingProxyType({backend.resources[0].kind: backend for backend in _ALL})
"""Kind of a main object -> the backend that makes such objects."""
CHILD_KINDS = frozenset(resource.kind for backend in _ALL for resource in backend.resources)
"""Kinds of objects that backends make."""


def choose_backend(request: ChildRequest) -> Backend:
    """Return what runs a step, as its stage says for its configuration."""
    spec, serving = request.item.step.spec, request.weekjob.spec.serving
    if not spec.is_server:
        return _RUNNERS[spec.choose_runner(request.item.step.config)]
    return _SERVERS[serving.engine if serving is not None and spec.join_records is not None else "local"]


def get_backend(kind: str) -> Backend:
    """Return the backend of a child by the kind of its main object.

    >>> get_backend("RayJob").resources[0].plural
    'rayjobs'
    """
    return BACKENDS[kind]
