"""The claim of a student's volume: made once, grown where its storage class allows it, and never changed otherwise."""

from __future__ import annotations

import json
from typing import Any

from practicum_controller.backends.pods import WORKSPACE_CLAIM
from practicum_controller.client import ApiFault, Cluster
from practicum_controller.kinds import CLAIMS
from practicum_core.course import Workspace
from practicum_core.quantities import read_quantity

Document = dict[str, Any]


async def ensure_claim(cluster: Cluster, wanted: Document) -> Document:
    """Make a claim if there is none, ask for more space if it is too small; return it as it is then.

    A claim that exists is never applied: the API server refuses every other change of it.

    Raises:
        ApiFault: The API server does not answer, or refuses a new claim.
    """
    metadata = wanted["metadata"]
    known = await cluster.read(CLAIMS.build_path(metadata["namespace"], metadata["name"]))
    if known is None:
        return await cluster.make(CLAIMS, wanted)
    size = _get_size(wanted)
    if read_quantity(size) <= read_quantity(_get_size(known)):
        return known
    body = {"spec": {"resources": {"requests": {"storage": size}}}}
    try:
        grown = await cluster.patch(CLAIMS, metadata["namespace"], metadata["name"], body)
    except ApiFault as fault:
        if not fault.is_refusal:
            raise
        return known
    return grown or known


def describe_claim(claim: Document) -> str:
    """Return what a claim is, as a course's ``workspace`` names it, in JSON."""
    spec = claim["spec"]
    facts = {"size": _get_size(claim), "accessMode": ",".join(spec["accessModes"])}
    if spec.get("storageClassName"):
        facts["storageClassName"] = spec["storageClassName"]
    return json.dumps(facts)


def get_reason_volume_differs(described: str | None, wanted: Workspace) -> str | None:
    """Say in which way a volume is not what a course asks for, and what to do; a larger volume is no difference.

    Args:
        described: What :func:`describe_claim` returned; ``None`` where there is no claim yet.
        wanted: The course's.

    >>> get_reason_volume_differs('{"size": "2Gi", "accessMode": "ReadWriteMany"}', Workspace(size="1Gi")) is None
    True
    >>> get_reason_volume_differs('{"size": "1Gi", "accessMode": "ReadWriteMany"}', Workspace(size="2Gi"))[:39]
    'volumes that exist keep size 1Gi: a vol'
    """
    known = json.loads(described) if described else {}
    kept = []
    if known and known["accessMode"] != wanted.access_mode:
        kept.append(f"accessMode {known['accessMode']}")
    if known and wanted.storage_class_name not in (None, known.get("storageClassName")):
        kept.append(f"storageClassName {known.get('storageClassName', 'none')}")
    if known and read_quantity(known["size"]) < read_quantity(wanted.size):
        kept.append(f"size {known['size']}")
    if not kept:
        return None
    return (
        f"volumes that exist keep {', '.join(kept)}: a volume grows only where its storage class allows it, and takes "
        f"no other mode or class; for a new one, without old runs: kubectl delete pvc {WORKSPACE_CLAIM} -n NAMESPACE"
    )


def _get_size(claim: Document) -> str:
    size: str = claim["spec"]["resources"]["requests"]["storage"]
    return size
