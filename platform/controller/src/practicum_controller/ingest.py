"""The ingest of reports: a report is taken from the pod that its token names, about the step that this pod runs.

A report is in the history before it is answered with 200. Tokens are never repeated in an answer or a log.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import ssl
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Handler
from pydantic import ValidationError

from practicum_controller import metrics
from practicum_controller.client import ApiFault
from practicum_controller.leader import Standing
from practicum_controller.tokens import REFUSED_WINDOW_S, PodIdentity, TokenReviewer, TooManyRefusedError
from practicum_core import labels
from practicum_core.errors import PlatformError
from practicum_core.problems import list_problems
from practicum_core.reports import MAX_EVIDENCE_BYTES, MAX_REPORT_BYTES, REPORTS_ROUTE, StepReport

FindPod = Callable[[str, str, str], dict[str, Any] | None]
SaveReport = Callable[[StepReport], bool]
# Between two reports of progress of a pod, and between two of its end: those are repeated when no answer came.
_INTERVAL_S = 0.5
# Bodies that may be on their way at once: memory is theirs times MAX_REPORT_BYTES.
_MAX_READING = 32
_MAX_READING_A_POD = 2
_MAX_PODS = 10_000
_BODY_S = 30.0
_MAX_TOKEN_LENGTH = 8192


class _CrowdedError(Exception):
    """As many bodies are on their way as may be."""


class Ingest:
    """Takes reports.

    Args:
        reviewer: Says whose a token is.
        find_pod: Returns a pod by namespace, name and uid.
        save: Writes a report into the history; blocking.
        on_report: Called with each report that was saved.
        get_standing: What this replica does: the leader alone takes reports.
        get_time: Monotonic clock in seconds.
    """

    def __init__(
        self,
        reviewer: TokenReviewer,
        find_pod: FindPod,
        save: SaveReport,
        on_report: Callable[[StepReport], None],
        get_standing: Callable[[], Standing],
        get_time: Callable[[], float],
    ) -> None:
        self._reviewer = reviewer
        self._find_pod = find_pod
        self._save = save
        self._on_report = on_report
        self._get_standing = get_standing
        self._get_time = get_time
        self._last_s: dict[tuple[str, bool], float] = {}
        self._reading: Counter[str] = Counter()

    def build_app(self) -> web.Application:
        """Return the application."""
        app = web.Application(client_max_size=MAX_REPORT_BYTES, middlewares=[_answer_in_json])
        app.router.add_post(REPORTS_ROUTE, self._handle_report)
        app.router.add_get("/healthz", show_health)
        app.router.add_get("/readyz", self._handle_ready)
        return app

    async def _handle_ready(self, _: web.Request) -> web.Response:
        standing = self._get_standing()
        # A replica that stands by is ready too: the Service leads reports to the leader by its label.
        return web.json_response({"status": standing}, status=503 if standing is Standing.STARTING else 200)

    async def _handle_report(self, request: web.Request) -> web.Response:
        if self._get_standing() is Standing.LEADING:
            answer = await self._take(request)
        else:
            answer = _refuse(503, "this replica does not lead; try again", {"Retry-After": "2"})
        metrics.REPORTS.labels(str(answer.status)).inc()
        return answer

    async def _take(self, request: web.Request) -> web.Response:
        try:
            pod = await self._identify(request)
            if pod is None:
                return _refuse(401, "the token is missing, is no pod's, or was not made for the ingest")
            body = await self._read_body(request, pod)
            report = StepReport.model_validate_json(body)
        except TimeoutError:
            return _refuse(408, f"the report did not arrive within {_BODY_S:.0f} s; try again")
        except web.HTTPRequestEntityTooLarge:
            return _refuse(413, f"a report may have {MAX_REPORT_BYTES} bytes")
        except ValidationError as error:
            problems = list_problems(error)
            return _refuse(422, f"not a report: {len(problems)} problems, first {problems[0]}")
        except (ApiFault, _CrowdedError, TooManyRefusedError) as error:
            return _refuse_for_now(error)
        why = get_reason_unfit(report.evidence_html)
        return _refuse(413, why) if why else await self._believe(pod, report)

    async def _read_body(self, request: web.Request, pod: PodIdentity) -> bytes:
        if self._reading.total() >= _MAX_READING or self._reading[pod.uid] >= _MAX_READING_A_POD:
            raise _CrowdedError
        self._reading[pod.uid] += 1
        try:
            async with asyncio.timeout(_BODY_S):
                return await request.read()
        finally:
            self._reading[pod.uid] -= 1
            if not self._reading[pod.uid]:
                del self._reading[pod.uid]

    async def _identify(self, request: web.Request) -> PodIdentity | None:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token or len(token) > _MAX_TOKEN_LENGTH:
            return None
        return await self._reviewer.identify(token.strip(), request.remote or "")

    async def _believe(self, pod: PodIdentity, report: StepReport) -> web.Response:
        document = self._find_pod(pod.namespace, pod.name, pod.uid)
        if document is None:
            return _refuse(403, "the token's pod runs no stage, or the controller has not seen it yet; try again")
        marks = document["metadata"].get("labels", {})
        told = (marks.get(labels.WEEK_JOB_UID), marks.get(labels.STEP), marks.get(labels.ATTEMPT))
        if told != (report.uid, report.step, str(report.attempt)):
            return _refuse(403, "the report is about a step that the token's pod does not run")
        if self._is_too_soon(pod, report):
            return _refuse(429, "a pod may report twice a second", {"Retry-After": "1"})
        try:
            await asyncio.to_thread(self._save, report)
        except PlatformError:
            return _refuse(503, "the history cannot be written; try again", {"Retry-After": "5"})
        self._on_report(report)
        return web.json_response({"status": "taken"})

    def _is_too_soon(self, pod: PodIdentity, report: StepReport) -> bool:
        now_s, key = self._get_time(), (pod.uid, report.is_final)
        if now_s - self._last_s.get(key, float("-inf")) < _INTERVAL_S:
            return True
        if len(self._last_s) >= 2 * _MAX_PODS:
            self._last_s.clear()
        self._last_s[key] = now_s
        return False


async def show_health(_: web.Request) -> web.Response:
    """Say that the process is alive."""
    return web.json_response({"status": "ok"})


def get_reason_unfit(page: str | None) -> str | None:
    """Say why an evidence page cannot be kept in a ConfigMap, if so.

    >>> get_reason_unfit("H4sI") is None
    True
    >>> get_reason_unfit("H4s!")
    'evidence_html is not base64'
    """
    try:
        size_bytes = len(base64.b64decode(page or "", validate=True))
    except (binascii.Error, ValueError):
        return "evidence_html is not base64"
    if size_bytes <= MAX_EVIDENCE_BYTES:
        return None
    return f"evidence_html has {size_bytes} bytes; {MAX_EVIDENCE_BYTES} fit: report without it, it is in the workspace"


@web.middleware
async def _answer_in_json(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except web.HTTPException as error:
        headers = {"Allow": error.headers["Allow"]} if "Allow" in error.headers else None
        return _refuse(error.status, f"{request.method} {request.path}: {error.reason.lower()}", headers)


def _refuse(status: int, sentence: str, headers: dict[str, str] | None = None) -> web.Response:
    return web.json_response({"error": sentence}, status=status, headers=headers)


def _refuse_for_now(error: Exception) -> web.Response:
    """Refuse what may be sent again as it is, and say when."""
    if isinstance(error, TooManyRefusedError):
        sentence = "this address sent too many tokens that nobody knows; try again in a minute"
        return _refuse(429, sentence, {"Retry-After": f"{REFUSED_WINDOW_S:.0f}"})
    crowded = isinstance(error, _CrowdedError)
    sentence = "too many reports arrive at once" if crowded else "the API server does not answer"
    return _refuse(503, f"{sentence}; try again", {"Retry-After": "2"})


class Certificate:
    """A TLS certificate from files, read again when they change: connections made later get the new one."""

    def __init__(self, folder: Path) -> None:
        self._certificate, self._key = folder / "tls.crt", folder / "tls.key"
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.minimum_version = ssl.TLSVersion.TLSv1_2
        self._stamp = 0.0
        self.refresh()

    def refresh(self) -> None:
        """Load the files if they changed."""
        stamp = self._certificate.stat().st_mtime
        if stamp != self._stamp:
            self.context.load_cert_chain(self._certificate, self._key)
            self._stamp = stamp
