"""The volume provisioner of the bare cluster: one folder of the node per claim, writable by every user.

It runs as a process on the node. Folders are not deleted with their claims, but with the cluster.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from practicum_cluster.api import JSON, Api, ApiError

STORAGE_CLASS = "practicum-local"
_POLL_S = 0.5


def build_storage_class() -> JSON:
    """Return the cluster's default storage class."""
    return {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {
            "name": STORAGE_CLASS,
            "annotations": {"storageclass.kubernetes.io/is-default-class": "true"},
        },
        "provisioner": "practicum.dev/local",
        "volumeBindingMode": "Immediate",
        "reclaimPolicy": "Retain",
    }


def build_volume(claim: JSON, folder: Path) -> JSON:
    """Return the volume of a claim."""
    metadata = claim["metadata"]
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": f"pvc-{metadata['uid']}"},
        "spec": {
            "capacity": {"storage": claim["spec"]["resources"]["requests"]["storage"]},
            "accessModes": claim["spec"]["accessModes"],
            "storageClassName": STORAGE_CLASS,
            "persistentVolumeReclaimPolicy": "Retain",
            "hostPath": {"path": str(folder), "type": "Directory"},
            "claimRef": {
                "apiVersion": "v1",
                "kind": "PersistentVolumeClaim",
                "name": metadata["name"],
                "namespace": metadata["namespace"],
                "uid": metadata["uid"],
            },
        },
    }


def provision(api: Api, root: Path) -> None:
    """Create a volume for every pending claim of the storage class."""
    for claim in api.get("/api/v1/persistentvolumeclaims")["items"]:
        is_ours = claim["spec"].get("storageClassName") == STORAGE_CLASS
        if (
            is_ours
            and claim.get("status", {}).get("phase", "Pending") == "Pending"
            and not claim["spec"].get("volumeName")
        ):
            metadata = claim["metadata"]
            folder = root / f"{metadata['namespace']}-{metadata['name']}-{metadata['uid'][:8]}"
            folder.mkdir(parents=True, exist_ok=True)
            # fsGroup has no effect on a hostPath volume.
            folder.chmod(0o777)
            api.apply(build_volume(claim, folder))


def main() -> None:
    """Provision volumes until stopped. Arguments: the credentials and the folder for all volumes."""
    api, root = Api(Path(sys.argv[1])), Path(sys.argv[2])
    while True:
        try:
            provision(api, root)
        except (OSError, ApiError) as error:
            print(f"provisioner: {error}", file=sys.stderr, flush=True)  # noqa: T201 - the log of a daemon
        time.sleep(_POLL_S)


if __name__ == "__main__":
    main()
