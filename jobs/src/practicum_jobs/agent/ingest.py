"""Reports to the controller: over TLS that the course's own authority signs, with the pod's token.

Token and authority are read anew for each request, since the kubelet renews both. Whether a refusal may pass is told
from its code: a service that is not up yet answers like one that is not there.
"""

from __future__ import annotations

import http.client
import json
import logging
import random
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from practicum_core.errors import ConfigError, PlatformError, Reason
from practicum_core.reports import CA_PATH, INGEST_URL_VARIABLE, REPORTS_ROUTE, TOKEN_PATH, StepReport

LOGGER = logging.getLogger(__name__)
CREDENTIALS_VARIABLE = "PRACTICUM_CREDENTIALS"
"""Folder with ``token`` and ``ca.crt``, where they do not lie where the kubelet projects them."""
FINAL_TIMEOUT_S = 600.0
_REQUEST_TIMEOUT_S = 10.0
_PROGRESS_TIMEOUT_S = 3.0
_PROGRESS_PAUSE_S = 10.0
_FIRST_PAUSE_S = 0.5
_LONGEST_PAUSE_S = 20.0
_POLL_S = 0.2
_SHOWN_BYTES = 500
_FINAL_REFUSALS = frozenset({400, 409, 410, 413, 415, 422})
"""Codes that say of this very report that it will never be taken."""


@dataclass(frozen=True)
class Ingest:
    """Where reports go.

    Attributes:
        host: Name that the service's certificate carries.
        port: Its port.
        token: File with the pod's token.
        authority: File with the certificate that signs the service's.
    """

    host: str
    port: int
    token: Path
    authority: Path

    def send_progress(self, report: StepReport) -> bool:
        """Send once; return whether it was taken."""
        try:
            return self._post(report, _PROGRESS_TIMEOUT_S)[0] < http.client.BAD_REQUEST
        except (OSError, http.client.HTTPException, ValueError):
            return False

    def send_final(self, report: StepReport, may_go_on: Callable[[], bool], timeout_s: float = FINAL_TIMEOUT_S) -> None:
        """Send until it is taken.

        Args:
            report: The attempt's end.
            may_go_on: Asked between tries; once false, no other try is made.
            timeout_s: How long to try.

        Raises:
            PlatformError: It was refused for good, or the service did not answer in time.
        """
        deadline_s = time.monotonic() + timeout_s
        pause_s = _FIRST_PAUSE_S
        while True:
            problem = self._try(report)
            if problem is None:
                return
            LOGGER.warning("the controller did not take the report: %s", problem)
            wait_until_s = time.monotonic() + pause_s * random.uniform(0.7, 1.3)  # noqa: S311 - spreads a class's tries
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
            while time.monotonic() < wait_until_s and may_go_on():
                time.sleep(_POLL_S)
            if time.monotonic() > deadline_s or not may_go_on():
                raise PlatformError(
                    Reason.UPSTREAM_UNAVAILABLE, f"the controller did not take the report: {problem}", "try again"
                )

    def _try(self, report: StepReport) -> str | None:
        """Send once and say what went wrong.

        Raises:
            PlatformError: This report will never be taken.
        """
        try:
            status, answer = self._post(report, _REQUEST_TIMEOUT_S)
        except (OSError, http.client.HTTPException, ValueError) as error:
            return f"{type(error).__name__}: {error}"
        if status in _FINAL_REFUSALS:
            raise PlatformError(Reason.INTERNAL, f"the controller refuses the report: {status} {answer}", "report it")
        return None if status < http.client.MULTIPLE_CHOICES else f"{status} {answer}"

    def _post(self, report: StepReport, timeout_s: float) -> tuple[int, str]:
        trust = ssl.create_default_context(cafile=str(self.authority))
        headers = {
            "Authorization": f"Bearer {self.token.read_text(encoding='ascii').strip()}",
            "Content-Type": "application/json",
        }
        connection = http.client.HTTPSConnection(self.host, self.port, timeout=timeout_s, context=trust)
        try:
            connection.request("POST", REPORTS_ROUTE, report.model_dump_json(exclude_none=True), headers)
            response = connection.getresponse()
            return response.status, _describe(response.read(_SHOWN_BYTES))
        finally:
            connection.close()


def build_ingest(variables: Mapping[str, str]) -> Ingest:
    """Find out where reports go.

    Raises:
        ConfigError: The variable is missing or is no ``https://`` address: a token never travels in the clear.
    """
    url = variables.get(INGEST_URL_VARIABLE, "")
    place = _split_address(url)
    if place is None:
        raise ConfigError(f"{INGEST_URL_VARIABLE}={url!r} is no https:// address", "let the controller make the pod")
    folder = variables.get(CREDENTIALS_VARIABLE)
    token, authority = Path(TOKEN_PATH), Path(CA_PATH)
    if folder:
        token, authority = Path(folder, token.name), Path(folder, authority.name)
    return Ingest(*place, token, authority)


def _split_address(url: str) -> tuple[str, int] | None:
    try:
        parts = urlsplit(url)
        port = parts.port or http.client.HTTPS_PORT
    except ValueError:  # no such port, half a host
        return None
    return (parts.hostname, port) if parts.scheme == "https" and parts.hostname else None


class ProgressSender:
    """Sends progress when it changed, at most once in an interval; a service that does not answer is left in peace."""

    def __init__(self, ingest: Ingest, interval_s: float = 2.0) -> None:
        self._ingest = ingest
        self._interval_s = interval_s
        self._sent: StepReport | None = None
        self._next_s = 0.0

    def offer(self, report: StepReport) -> None:
        """Send the report if it says something new and it is time."""
        if report == self._sent or time.monotonic() < self._next_s:
            return
        was_taken = self._ingest.send_progress(report)
        if was_taken:
            self._sent = report
        self._next_s = time.monotonic() + (self._interval_s if was_taken else _PROGRESS_PAUSE_S)


def _describe(answer: bytes) -> str:
    text = answer.decode(errors="replace")
    try:
        document = json.loads(text)
    except ValueError:
        document = None
    shown = document.get("error", text) if isinstance(document, dict) else text
    return " ".join(str(shown).split())
