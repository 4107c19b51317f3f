"""Which pod a token belongs to: the API server reviews the token, and the answer is kept for a minute.

A refusal is kept for seconds only, since the API server itself may learn of a new pod a moment after its token was
made. Tokens that were never accepted are reviewed a limited number of times for each address, so that nobody makes the
API server review random text.

Source: Kubernetes documentation, "Bound service account tokens": a projected token names its pod.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from practicum_core.reports import INGEST_AUDIENCE

K = TypeVar("K")
Review = Callable[[dict[str, Any]], Awaitable[dict[str, Any]]]
KEPT_S, KEPT_REFUSED_S = 60.0, 5.0
MAX_KEPT = 10_000
MAX_REFUSED, REFUSED_WINDOW_S = 50, 60.0
"""Reviews that an address may have refused, or on their way, within the window."""
_POD = "authentication.kubernetes.io/pod-name"
_POD_UID = "authentication.kubernetes.io/pod-uid"
_ACCOUNT = "system:serviceaccount:"


@dataclass(frozen=True)
class PodIdentity:
    """The pod that a token was given to."""

    namespace: str
    name: str
    uid: str


class TooManyRefusedError(Exception):
    """An address sent many tokens that nobody knows; its next one is not reviewed for a while."""


class TokenReviewer:
    """Asks the API server about tokens.

    Args:
        review: Sends a TokenReview and returns it with its status.
        get_time: Monotonic clock in seconds.
    """

    def __init__(self, review: Review, get_time: Callable[[], float]) -> None:
        self._review = review
        self._get_time = get_time
        self._accepted: dict[bytes, tuple[float, PodIdentity]] = {}
        self._refused: dict[bytes, float] = {}
        self._attempts: dict[str, list[float]] = {}

    async def identify(self, token: str, source: str) -> PodIdentity | None:
        """Return the pod that ``token`` belongs to; ``None`` if it is no pod's, or not for the ingest.

        Args:
            token: The token.
            source: Address that sent it.

        Raises:
            TooManyRefusedError: The address sent too many tokens that were refused.
            ApiFault: The API server does not answer.
        """
        digest = hashlib.sha256(token.encode()).digest()
        now_s = self._get_time()
        accepted = self._accepted.get(digest)
        if accepted is not None and accepted[0] > now_s:
            return accepted[1]
        if self._refused.get(digest, now_s) > now_s:
            return None
        # A token that was accepted before is never held back: who shares its address may send what they like.
        attempts = self._count_attempt(source, now_s) if accepted is None else []
        identity, is_answered = None, False
        try:
            identity = await self._ask(token)
            is_answered = True
        finally:
            if now_s in attempts and (identity is not None or not is_answered):
                attempts.remove(now_s)
        self._keep(digest, identity, now_s)
        return identity

    async def _ask(self, token: str) -> PodIdentity | None:
        spec = {"token": token, "audiences": [INGEST_AUDIENCE]}
        answer = await self._review({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": spec})
        return read_identity(answer.get("status", {}))

    def _count_attempt(self, source: str, now_s: float) -> list[float]:
        """Count a review that may be refused, and return the times of all of its address."""
        attempts = self._attempts.pop(source, [])
        attempts[:] = [time_s for time_s in attempts if time_s > now_s - REFUSED_WINDOW_S]
        # Put last: the address that was silent for longest is forgotten first.
        self._attempts[source] = attempts
        _drop_oldest(self._attempts)
        if len(attempts) >= MAX_REFUSED:
            raise TooManyRefusedError
        attempts.append(now_s)
        return attempts

    def _keep(self, digest: bytes, identity: PodIdentity | None, now_s: float) -> None:
        self._accepted.pop(digest, None)
        self._refused.pop(digest, None)
        if identity is None:
            self._refused[digest] = now_s + KEPT_REFUSED_S
            _drop_oldest(self._refused)
        else:
            self._accepted[digest] = (now_s + KEPT_S, identity)
            _drop_oldest(self._accepted)


def _drop_oldest(kept: dict[K, Any]) -> None:
    if len(kept) > MAX_KEPT:
        del kept[next(iter(kept))]


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
