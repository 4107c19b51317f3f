"""Whether children could ever run in their namespace, told before they take places that others wait for. Pure.

The queue counts what the class shares, and lets a child out that the namespace's own quota then refuses: its places
would stay taken, and unused, until its deadline.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal

from practicum_controller.backends import choose_backend
from practicum_controller.backends.backend import Needs
from practicum_controller.backends.request import ChildRequest
from practicum_core.course import StudentQuota
from practicum_core.errors import Reason
from practicum_core.observed import Hold
from practicum_core.quantities import read_quantity


def find_unfit(requests: Iterable[ChildRequest]) -> Mapping[str, Hold]:
    """Return why steps would never run, however long they waited, by the step's name.

    Args:
        requests: All children of one week job that would exist together. Each may be refused for itself; those that
            may not run together for the quota are refused one and all, since each would wait for the others to end.
    """
    holds: dict[str, Hold] = {}
    allowed: list[ChildRequest] = []
    for request in requests:
        refusal = _refuse(request)
        if refusal is None:
            allowed.append(request)
        else:
            holds[request.item.step.name] = Hold(Reason.CONFIG_INVALID, refusal)
    excess = _describe_excess(allowed)
    if excess:
        hold = Hold(Reason.QUOTA_EXCEEDED, f"{excess}; ask for less, or the teacher for a larger quota")
        holds |= {request.item.step.name: hold for request in allowed}
    return holds


def _refuse(request: ChildRequest) -> str | None:
    return _refuse_priority(request) or _refuse_image(request)


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
    if request.weekjob.spec.image is not None and not request.course.allow_images:
        return "image: this course runs its own images alone; leave it out, or ask the teacher for allowImages"
    if request.image is not None:
        return None
    step = request.item.step
    return (
        f"no image is set for the environment '{step.environment}' of the step '{step.name}'; "
        f"a teacher sets it in the course (spec.images.{step.environment}) or in the chart (images.names)"
    )


def _describe_excess(requests: Sequence[ChildRequest]) -> str:
    """Say which resources all children together ask too much of; empty where they fit."""
    if not requests:
        return ""
    quota = requests[0].course.quota
    needs = [choose_backend(request).get_needs(request) for request in requests]
    problems = [
        f"{name}: {' + '.join(terms)} are asked for and one student may hold {limit}"
        for name, terms, total, limit in _add_up(needs, quota)
        if total > read_quantity(limit)
    ]
    return "; ".join(problems)


def _add_up(needs: Sequence[Needs], quota: StudentQuota) -> list[tuple[str, list[str], Decimal, str]]:
    """Return each resource with the terms of its sum, the sum, and the student's limit."""
    amounts = (
        ("cpu", [one.cpu for one in needs], quota.cpu),
        ("memory", [one.memory for one in needs], quota.memory),
        ("GPU slices", [str(one.slices) for one in needs], str(quota.slices)),
        ("pods", ["1"] * len(needs), str(quota.pods)),
    )
    counts = [one.num_pods for one in needs]
    return [
        (
            name,
            [f"{count} x {text}" for count, text in zip(counts, texts, strict=True)],
            sum((count * read_quantity(text) for count, text in zip(counts, texts, strict=True)), Decimal(0)),
            limit,
        )
        for name, texts, limit in amounts
    ]
