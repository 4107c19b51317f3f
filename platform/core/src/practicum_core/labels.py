"""Labels, annotations and names of the objects that Practicum creates on a cluster. Pure.

The name of a child depends only on the week job, the step and the attempt, so creating it twice is a no-op. Two
different owners never share a name: where the parts could be cut in another way too (``llm`` and ``adv-exam``,
``llm-adv`` and ``exam``), a hash of the parts ends the name.
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
MAX_PRIORITY_NAME = 63
"""It is the value of a label."""
_HASH_LENGTH = 8


def build_child_name(weekjob: str, step: str, attempt: int) -> str:
    """Return the name of the object that runs one attempt of a step; at most :data:`MAX_CHILD_NAME` characters.

    >>> build_child_name("week-03", "sft", 1)
    'week-03-sft-1'
    >>> build_child_name("w" * 40, "tuned-evaluation", 12)
    'wwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwww-9966d9b1'
    >>> build_child_name("week", "tuned-evaluation", 1)
    'week-tuned-evaluation-1-46391464'
    """
    # Without a dash in the step, the last two dashes of the name are known to be the ones that were put there.
    return _join(weekjob, step, str(attempt), is_plain="-" not in step, limit=MAX_CHILD_NAME)


def build_queue_name(course: str, namespace: str) -> str:
    """Return the name of a LocalQueue. It is unique in the cluster: Kueue's visibility API once filtered by name only.

    >>> build_queue_name("llm", "student-01")
    'llm-student-01'
    >>> build_queue_name("llm-10", "student-01")
    'llm-10-student-01-f8a9da2f'
    """
    return _join(course, namespace, is_plain="-" not in course, limit=MAX_QUEUE_NAME)


def build_priority_class_name(course: str, priority: str) -> str:
    """Return the name of the WorkloadPriorityClass of one of a course's priorities.

    >>> build_priority_class_name("llm", "adv-exam")
    'llm-adv-exam'
    >>> build_priority_class_name("llm-adv", "exam")
    'llm-adv-exam-84fc0459'
    """
    return _join(course, priority, is_plain="-" not in course, limit=MAX_PRIORITY_NAME)


def _join(*parts: str, is_plain: bool, limit: int) -> str:
    """Join parts by dashes; with a hash of the parts where the name could be read in two ways or is too long."""
    name = "-".join(parts)
    if is_plain and len(name) <= limit:
        return name
    # No part holds a slash.
    digest = hashlib.sha256("/".join(parts).encode()).hexdigest()[:_HASH_LENGTH]
    return f"{name[: limit - _HASH_LENGTH - 1].rstrip('-')}-{digest}"


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
