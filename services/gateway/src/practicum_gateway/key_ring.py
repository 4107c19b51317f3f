"""The keys that are valid now, read again when one of their files changes, each with what it has used.

An id names one key, and so does a secret. Where several entries have the same, the first of the first file decides on
its secret, its limits and whether it is revoked; the others are left out, which the log says.
"""

from __future__ import annotations

import datetime as dt
import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from practicum_core.api_keys import ApiKey, KeyLimits, hash_key, read_key_file
from practicum_core.errors import DataError
from practicum_gateway.clock import Clock
from practicum_gateway.errors import AUTHENTICATION, ApiError
from practicum_gateway.limits import KeyMeter, divide_limits

_LOOK_AGAIN_S = 1.0
_MAX_KEY_BYTES = 512
_ANYBODY = ApiKey(id="anybody", owner="anybody", sha256="", created_at="")
_LOG = logging.getLogger(__name__)
_Stamp = tuple[int, int, int]


@dataclass
class Caller:
    """A valid key.

    Attributes:
        key: With its limits.
        meter: What it used of this process's share of them.
        ends_s: When it is not valid any more, on the clock.
    """

    key: ApiKey
    meter: KeyMeter
    ends_s: float = math.inf


class KeyRing:
    """The keys of some files. Made and revoked keys count within a second.

    Args:
        paths: The files, each there or not, those that decide first; without any, everybody may call.
        clock: Monotonic seconds.
        num_shares: Gateways that share each limit; one where it is this one's alone.

    Raises:
        DataError: A file is broken. Broken later, the keys that were read last stay valid.
    """

    def __init__(self, paths: Sequence[Path], clock: Clock, num_shares: int = 1) -> None:
        self._paths = tuple(paths)
        self._num_shares = num_shares
        self._clock = clock
        self._callers: dict[str, Caller] = {}
        self._anybody = Caller(_ANYBODY, KeyMeter(KeyLimits(), clock))
        self._meters: dict[str, KeyMeter] = {}
        self._left_out: frozenset[str] = frozenset()
        self._stamps: list[_Stamp | None] = []
        self._looked_s = clock()
        # What time it was then: a wall clock that jumps later neither ends a key nor lengthens it.
        self._zero_s, self._zero_at = clock(), dt.datetime.now(dt.UTC)
        self._read()

    def authenticate(self, authorization: bytes | None) -> Caller:
        """Find the caller of a request.

        Args:
            authorization: Its header of that name.

        Raises:
            ApiError: There is no key, or it is not valid.
        """
        if not self._paths:
            return self._anybody
        self._refresh()
        scheme, _, secret = (authorization or b"").strip().partition(b" ")
        if scheme.lower() != b"bearer" or not secret.strip():
            raise ApiError(401, "missing_api_key", "send a key: Authorization: Bearer sk-practicum-...", AUTHENTICATION)
        if len(secret) > _MAX_KEY_BYTES:
            raise _build_refusal()
        # The hash of a wrong key says nothing about how much of it was right, however the look-up is timed.
        caller = self._callers.get(hash_key(secret.strip().decode("latin-1")))
        if caller is None or self._clock() >= caller.ends_s:
            raise _build_refusal()
        return caller

    def _refresh(self) -> None:
        now_s = self._clock()
        if now_s - self._looked_s < _LOOK_AGAIN_S:
            return
        self._looked_s = now_s
        try:
            self._read()
        except DataError as error:
            _LOG.warning("the keys that were read before stay valid: %s", error.detail)

    def _read(self) -> None:
        stamps = [_read_stamp(path) for path in self._paths]
        if stamps == self._stamps and None not in stamps:
            return
        found = [key for path in self._paths for key in read_key_file(path).keys]
        # Noted after reading: a broken file is read again at the next look.
        self._stamps = stamps
        keys = self._choose(found)
        meters, callers = {}, {}
        for key in keys:
            share = divide_limits(key.limits, self._num_shares)
            # That of a revoked key is kept, so that one which is valid again has not all of its limits anew.
            meter = meters[key.id] = self._meters.get(key.id) or KeyMeter(share, self._clock)
            meter.update(share)
            if key.revoked_at is None:
                callers[key.sha256] = Caller(key, meter, self._find_end(key))
        self._meters, self._callers = meters, callers

    def _find_end(self, key: ApiKey) -> float:
        """Return when a key ends, on the clock."""
        if key.ends_at is None:
            return math.inf
        return self._zero_s + (key.ends_at - self._zero_at).total_seconds()

    def _choose(self, found: Sequence[ApiKey]) -> list[ApiKey]:
        """Return the first key of each id and of each secret."""
        keys: list[ApiKey] = []
        ids, hashes, left_out = set(), set(), set()
        for key in found:
            if key.id in ids or key.sha256 in hashes:
                left_out.add(key.id)
                continue
            ids.add(key.id)
            hashes.add(key.sha256)
            keys.append(key)
        if left_out - self._left_out:
            names = ", ".join(sorted(left_out))
            _LOG.warning("keys that several entries have, of which the first counts: %s", names)
        self._left_out = frozenset(left_out)
        return keys


def _build_refusal() -> ApiError:
    return ApiError(401, "invalid_api_key", "this key is wrong, was revoked or has ended", AUTHENTICATION)


def _read_stamp(path: Path) -> _Stamp | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
