"""Why a child waits: in its queue, or for pods that the cluster does not make. The same for every kind. Pure."""

from __future__ import annotations

from practicum_controller.backends.backend import ChildState, Document, Sight, Standing
from practicum_controller.backends.pod_status import explain_waiting_pod, find_condition
from practicum_core.errors import Reason

_QUOTA_TEXT = "exceeded quota"


def explain_queue(workload: Document | None) -> ChildState:
    """Say why a suspended child waits, as Kueue's Workload tells."""
    if workload is None:
        return ChildState(Standing.WAITING, Reason.QUEUED, "waits for Kueue to take note of it")
    evicted = find_condition(workload, "Evicted")
    conditions = workload.get("status", {}).get("conditions") or ()
    reserved = next((one for one in conditions if one["type"] == "QuotaReserved"), None)
    said = str(reserved.get("message", "")) if reserved and reserved["status"] != "True" else "waits for quota"
    if evicted is not None and evicted.get("reason") == "Preempted":
        return ChildState(Standing.WAITING, Reason.PREEMPTED, str(evicted.get("message") or said))
    return ChildState(Standing.WAITING, Reason.QUEUED, said)


def explain_pods_on_their_way(sight: Sight) -> ChildState | None:
    """Say what is wrong with the pods of a child that was let out of its queue, where something is."""
    return next((state for pod in sight.pods if (state := explain_waiting_pod(pod))), None)


def explain_start(sight: Sight, *, may_lack_pods: bool) -> ChildState:
    """Say how far a child is whose program does not run yet.

    Args:
        sight: The child.
        may_lack_pods: A refused pod may be one of several: the warning counts although other pods are there.
    """
    uid = sight.main["metadata"]["uid"]
    refusal = next((one for one in sight.warnings if one["involvedObject"].get("uid") == uid), None)
    if refusal is not None and (not sight.pods or may_lack_pods):
        text = str(refusal.get("message", ""))
        reason = Reason.QUOTA_EXCEEDED if _QUOTA_TEXT in text else Reason.POD_REFUSED
        return ChildState(Standing.STARTING, reason, text)
    uids = {pod["metadata"]["uid"] for pod in sight.pods}
    told = [one for one in sight.warnings if one["involvedObject"].get("uid") in uids]
    if told:
        last = max(told, key=lambda one: int(one.get("version", 0)))
        return ChildState(Standing.STARTING, Reason.POD_REFUSED, f"{last.get('reason')}: {last.get('message')}")
    return ChildState(
        Standing.STARTING, None, "pods are being made" if not sight.pods else "containers are being started"
    )
