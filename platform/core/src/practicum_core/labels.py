"""Labels, annotations and names of the objects that Practicum creates on a cluster. Pure.

The name of a child depends only on the week job, the step and the attempt, so creating it twice is a no-op.
"""

from __future__ import annotations

import hashlib

DOMAIN = "practicum.dev"
WEEK_JOB = f"{DOMAIN}/week-job"
WEEK_JOB_UID = f"{DOMAIN}/week-job-uid"
STEP = f"{DOMAIN}/step"
ATTEMPT = f"{DOMAIN}/attempt"
STUDENT = f"{DOMAIN}/student"
COURSE = f"{DOMAIN}/course"
UNIT = f"{DOMAIN}/unit"
ARCHIVED = f"{DOMAIN}/archived"
SLICES = f"{DOMAIN}/gpu-slices"
"""GPU slices of all pods of a child together; the student is charged for them."""
QUEUE_NAME = "kueue.x-k8s.io/queue-name"
PRIORITY_CLASS = "kueue.x-k8s.io/priority-class"
MANAGER = "practicum"
FIELD_MANAGER = "practicum-controller"
FINALIZER = f"{DOMAIN}/settle"
MAX_CHILD_NAME = 47
"""The limit of KubeRay for the name of a RayJob."""
MAX_QUEUE_NAME = 63
_HASH_LENGTH = 8


def build_child_name(weekjob: str, step: str, attempt: int) -> str:
    """Return the name of the object that runs one attempt of a step; at most :data:`MAX_CHILD_NAME` characters.

    >>> build_child_name("week-03", "sft", 1)
    'week-03-sft-1'
    >>> build_child_name("w" * 40, "tuned-evaluation", 12)
    'wwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwww-4aa07e08'
    """
    name = f"{weekjob}-{step}-{attempt}"
    if len(name) <= MAX_CHILD_NAME:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:_HASH_LENGTH]
    return f"{name[: MAX_CHILD_NAME - _HASH_LENGTH - 1].rstrip('-')}-{digest}"


def build_queue_name(course: str, namespace: str) -> str:
    """Return the name of a LocalQueue. It is unique in the cluster: Kueue's visibility API once filtered by name only.

    >>> build_queue_name("llm", "student-01")
    'llm-student-01'
    """
    name = f"{course}-{namespace}"
    digest = hashlib.sha256(name.encode()).hexdigest()[:_HASH_LENGTH]
    return name if len(name) <= MAX_QUEUE_NAME else f"{name[: MAX_QUEUE_NAME - _HASH_LENGTH - 1]}-{digest}"


def build_child_labels(weekjob: str, uid: str, unit: str, step: str, attempt: int) -> dict[str, str]:
    """Return the labels of a child and of its pods."""
    return {
        "app.kubernetes.io/name": "practicum-stage",
        "app.kubernetes.io/managed-by": MANAGER,
        "app.kubernetes.io/part-of": MANAGER,
        "app.kubernetes.io/component": step,
        WEEK_JOB: weekjob,
        WEEK_JOB_UID: uid,
        UNIT: unit,
        STEP: step,
        ATTEMPT: str(attempt),
    }
