"""Decides which pod a token belongs to. The API server reviews it; the answer is kept for a minute.

A no is kept for seconds only: the server itself may learn of a new pod a moment after its token was made.

Source: Kubernetes documentation, "Bound service account tokens": a projected token names its pod.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from practicum_core.reports import INGEST_AUDIENCE

Review = Callable[[dict[str, Any]], Awaitable[dict[str, Any]]]
KEPT_S, KEPT_REFUSED_S = 60.0, 5.0
MAX_KEPT = 10_000
_POD = "authentication.kubernetes.io/pod-name"
_POD_UID = "authentication.kubernetes.io/pod-uid"
_ACCOUNT = "system:serviceaccount:"


@dataclass(frozen=True)
class PodIdentity:
    """The pod that a token was given to."""

    namespace: str
    name: str
    uid: str


class TokenReviewer:
    """Asks the API server about tokens.

    Args:
        review: Sends a TokenReview and returns it with its status.
        get_time: Monotonic clock in seconds.
    """

    def __init__(self, review: Review, get_time: Callable[[], float]) -> None:
        self._review = review
        self._get_time = get_time
        self._known: dict[bytes, tuple[float, PodIdentity | None]] = {}

    async def identify(self, token: str) -> PodIdentity | None:
        """Return the pod that ``token`` belongs to; ``None`` where it is no pod's, or not for the ingest."""
        digest = hashlib.sha256(token.encode()).digest()
        now_s = self._get_time()
        known = self._known.get(digest)
        if known is not None and known[0] > now_s:
            return known[1]
        spec = {"token": token, "audiences": [INGEST_AUDIENCE]}
        answer = await self._review({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": spec})
        identity = read_identity(answer.get("status", {}))
        if len(self._known) >= MAX_KEPT:
            self._known.clear()
        self._known[digest] = (now_s + (KEPT_REFUSED_S if identity is None else KEPT_S), identity)
        return identity


def read_identity(status: dict[str, Any]) -> PodIdentity | None:
    """Read the pod from a TokenReview's status."""
    if not status.get("authenticated") or INGEST_AUDIENCE not in status.get("audiences", ()):
        return None
    user = status.get("user", {})
    extra = user.get("extra", {})
    names, uids = extra.get(_POD, ()), extra.get(_POD_UID, ())
    account = user.get("username", "")
    if not account.startswith(_ACCOUNT) or len(names) != 1 or len(uids) != 1:
        return None
    namespace = account.removeprefix(_ACCOUNT).partition(":")[0]
    return PodIdentity(namespace, names[0], uids[0])
