"""Decides whether a child could ever run in its namespace, before it takes a place that others wait for. Pure.

The queue counts what the class shares, and lets a child out that the namespace's own quota then refuses: its places
would stay taken, and unused, until its deadline.
"""

from __future__ import annotations

from decimal import Decimal

from practicum_controller.backends.pods import ChildRequest, build_resources
from practicum_core.errors import Reason
from practicum_core.plan import Hold

_FACTORS = {
    "": Decimal(1),
    "m": Decimal(1) / 1000,
    **{unit: Decimal(1000) ** power for power, unit in enumerate(("k", "M", "G", "T"), start=1)},
    **{unit: Decimal(1024) ** power for power, unit in enumerate(("Ki", "Mi", "Gi", "Ti"), start=1)},
}
_DIGITS = "0123456789."


def get_reason_unfit(request: ChildRequest) -> Hold | None:
    """Say why a child would never run, however long it waited; ``None`` where it may."""
    refusal = _refuse_priority(request) or _refuse_image(request)
    if refusal is not None:
        return Hold(Reason.CONFIG_INVALID, refusal)
    num_pods = request.num_pods
    problems = [
        f"{name}: {num_pods} x {amount} are asked for and one student may hold {limit}"
        for name, amount, limit in _list_amounts(request)
        if num_pods * read_quantity(amount) > read_quantity(limit)
    ]
    if not problems:
        return None
    return Hold(Reason.QUOTA_EXCEEDED, f"{'; '.join(problems)}; ask for less, or the teacher for a larger quota")


def _refuse_priority(request: ChildRequest) -> str | None:
    spec = request.weekjob.spec
    if spec.priority_class_name is None:
        return None
    known = {one.name: one for one in request.course.priorities}
    priority = known.get(spec.priority_class_name)
    if priority is None:
        names = ", ".join(known) or "it has none"
        return f"priorityClassName '{spec.priority_class_name}' is none of the course's priorities ({names})"
    if priority.units and spec.unit not in priority.units:
        return f"priorityClassName '{priority.name}' is for {', '.join(priority.units)}, not for {spec.unit}"
    return None


def _refuse_image(request: ChildRequest) -> str | None:
    if request.weekjob.spec.image is None or request.course.allow_images:
        return None
    return "image: this course runs its own images alone; leave it out, or ask the teacher for allowImages"


def _list_amounts(request: ChildRequest) -> list[tuple[str, str, str]]:
    """Return each resource with the amount of one pod and the student's limit."""
    quota = request.course.quota
    asked = build_resources(request)["requests"]
    return [
        ("cpu", asked["cpu"], quota.cpu),
        ("memory", asked["memory"], quota.memory),
        ("GPU slices", str(request.slices), str(quota.slices)),
        ("pods", "1", str(quota.pods)),
    ]


def read_quantity(text: str) -> Decimal:
    """Return the number that an amount of Kubernetes stands for.

    >>> read_quantity("500m"), read_quantity("1.5k"), read_quantity("2Gi")
    (Decimal('0.500'), Decimal('1500.0'), Decimal('2147483648'))
    """
    unit = text.lstrip(_DIGITS)
    return Decimal(text.removesuffix(unit)) * _FACTORS[unit]
