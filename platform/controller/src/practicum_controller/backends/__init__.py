"""Kinds of objects that run a step, one module each, and the one place where a step's kind is chosen."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from practicum_controller.backends.backend import Backend
from practicum_controller.backends.deployment import DeploymentBackend
from practicum_controller.backends.job import JobBackend
from practicum_controller.backends.ray_job import RayJobBackend
from practicum_controller.backends.request import ChildRequest
from practicum_core.stages.spec import Runner

__all__ = ["BACKENDS", "ChildRequest", "choose_backend", "get_backend"]

_RUNNERS: Mapping[Runner, Backend] = MappingProxyType({Runner.PROCESS: JobBackend(), Runner.RAY: RayJobBackend()})
_SERVERS: Backend = DeploymentBackend()
BACKENDS: Mapping[str, Backend] = MappingProxyType(
    {resource.kind: backend for backend in (*_RUNNERS.values(), _SERVERS) for resource in backend.resources}
)
"""Kind of an object -> the backend that makes such objects."""


def choose_backend(request: ChildRequest) -> Backend:
    """Return what runs a step, as its stage says for its configuration."""
    if request.item.step.spec.is_server:
        return _SERVERS
    return _RUNNERS[request.item.step.spec.choose_runner(request.item.step.config)]


def get_backend(kind: str) -> Backend:
    """Return the backend of a child by the kind of any of its objects.

    >>> get_backend("RayJob").resources[0].plural
    'rayjobs'
    """
    return BACKENDS[kind]
