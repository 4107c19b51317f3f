"""Decides which kind of object runs a step: a Job, or a RayJob where the stage computes on several workers."""

from __future__ import annotations

from practicum_controller.backends.batch_job import build_job
from practicum_controller.backends.fit import get_reason_unfit
from practicum_controller.backends.pods import ChildRequest
from practicum_controller.backends.ray_job import build_ray_job, needs_ray
from practicum_controller.client import Document

__all__ = ["ChildRequest", "build_child", "get_reason_unfit"]


def build_child(request: ChildRequest) -> Document:
    """Return the object that runs one attempt of a step."""
    return build_ray_job(request) if needs_ray(request) else build_job(request)
