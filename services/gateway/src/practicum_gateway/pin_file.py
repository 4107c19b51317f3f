"""The file that pins a rung: for as long as it is there, or, with a lease, for as long as it is renewed."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

from practicum_core.rungs import Rung
from practicum_gateway.clock import Clock

_LOG = logging.getLogger(__name__)


class PinFile:
    """Reads ``{"rung": "extract"}``, or ``{"rung": "extract", "lease_s": 15, "renewal": 3}`` of a check.

    A lease begins anew whenever the content changes. Who was killed renews nothing, and the signals choose again.

    Args:
        path: The file.
        clock: Monotonic seconds.

    Attributes:
        left_s: Seconds of the lease that are left; ``None`` without one.
    """

    def __init__(self, path: Path, clock: Clock) -> None:
        self.left_s: float | None = None
        self._path = path
        self._clock = clock
        self._document: dict[str, Any] = {}
        self._since_s = 0.0
        self._is_told = False

    def read(self) -> Rung | None:
        """Return the rung that is pinned now; ``None`` where none is. A broken file changes nothing."""
        try:
            document = self._parse()
        except FileNotFoundError:
            document = {}
        except (OSError, ValueError, KeyError, TypeError) as error:
            if not self._is_told:
                _LOG.warning("%s names no rung and changes nothing: %s", self._path, error)
                self._is_told = True
            document = self._document
        else:
            self._is_told = False
        if document != self._document:
            self._document, self._since_s = document, self._clock()
        return self._find_rung()

    def _parse(self) -> dict[str, Any]:
        page = json.loads(self._path.read_text(encoding="utf-8"))
        rung, lease_s = page["rung"], page.get("lease_s")
        return {
            "rung": None if rung is None else Rung(rung),
            "lease_s": None if lease_s is None else float(lease_s),
            "renewal": page.get("renewal"),
        }

    def _find_rung(self) -> Rung | None:
        rung: Rung | None = self._document.get("rung")
        lease_s: float | None = self._document.get("lease_s")
        self.left_s = None
        if rung is None or lease_s is None:
            return rung
        self.left_s = max(self._since_s + lease_s - self._clock(), 0.0)
        return rung if self.left_s else None
