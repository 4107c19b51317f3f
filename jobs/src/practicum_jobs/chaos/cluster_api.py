"""The pods of one week job through the API of their cluster, as far as the pod of this stage may use it.

The controller gives this pod a token of the service account ``practicum-chaos``, which may list and delete pods of the
student's namespace and run programs in them. Source: Kubernetes API reference, "Pod"; its remote commands speak the
subprotocol ``v4.channel.k8s.io`` over a web socket.
"""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any

import aiohttp

from practicum_core import labels
from practicum_core.errors import PlatformError, Reason
from practicum_core.reports import CLUSTER_CA_PATH, CLUSTER_TOKEN_PATH, STEP_VARIABLE, PodStep

_PROTOCOL = "v4.channel.k8s.io"
_STDOUT, _STDERR, _STATUS = 1, 2, 3
"""First byte of each message: whose it is."""
_TIMEOUT_S = 10.0
_RUN_S = 60.0
_MAX_TEXT = 300


@dataclass(frozen=True)
class ClusterAccess:
    """How the API is reached, and whose pods may be touched."""

    url: str
    namespace: str
    week_job_uid: str
    token: Path = Path(CLUSTER_TOKEN_PATH)
    authority: Path = Path(CLUSTER_CA_PATH)


@dataclass(frozen=True)
class Pod:
    """A pod of a server; ``restarts`` counts how often its container was started again."""

    name: str
    uid: str
    container: str
    is_ready: bool
    restarts: int


def find_access(environ: Mapping[str, str]) -> ClusterAccess | None:
    """Return how this pod reaches its cluster; ``None`` on a laptop, and where the controller gives no token."""
    step, host = environ.get(STEP_VARIABLE), environ.get("KUBERNETES_SERVICE_HOST")
    if step is None or host is None or not Path(CLUSTER_TOKEN_PATH).exists():
        return None
    told = PodStep.model_validate_json(step)
    # An address of version 6 stands in brackets.
    shown = f"[{host}]" if ":" in host else host
    url = f"https://{shown}:{environ.get('KUBERNETES_SERVICE_PORT', '443')}"
    return ClusterAccess(url, told.weekjob.metadata.namespace, told.uid)


class ClusterApi:
    """The pods of a week job.

    Args:
        access: Which.
        session: Connections.
    """

    def __init__(self, access: ClusterAccess, session: aiohttp.ClientSession) -> None:
        self.namespace = access.namespace
        self._access = access
        self._session = session
        self._pods = f"{access.url}/api/v1/namespaces/{access.namespace}/pods"
        self._ssl = ssl.create_default_context(cafile=str(access.authority))

    async def list_pods(self, step: str = "") -> list[Pod]:
        """List the pods of a step, or of all, that run and are not being deleted; the ready ones first.

        Raises:
            PlatformError: The API does not answer, or refuses.
        """
        marks = {labels.WEEK_JOB_UID: self._access.week_job_uid} | ({labels.STEP: step} if step else {})
        selector = ",".join(f"{name}={value}" for name, value in marks.items())
        answer = await self._ask("GET", self._pods, params={"labelSelector": selector})
        pods = [
            _read_pod(one)
            for one in answer["items"]
            if not one["metadata"].get("deletionTimestamp") and one["status"].get("phase") == "Running"
        ]
        return sorted(pods, key=lambda pod: not pod.is_ready)

    async def delete_pod(self, pod: Pod) -> None:
        """Delete a pod at once, without time to end by itself.

        Raises:
            PlatformError: The API does not answer, or refuses.
        """
        options = {"gracePeriodSeconds": 0, "preconditions": {"uid": pod.uid}}
        await self._ask("DELETE", f"{self._pods}/{pod.name}", json=options)

    async def run(self, pod: Pod, command: Sequence[str]) -> str:
        """Run a program in a pod and return what it printed.

        Raises:
            PlatformError: The pod is gone, the API does not answer, or the program failed.
        """
        query = [*(("command", part) for part in command), ("container", pod.container)]
        query += [("stdout", "true"), ("stderr", "true")]
        texts: dict[int, bytes] = {_STDOUT: b"", _STDERR: b"", _STATUS: b""}
        try:
            async with (
                asyncio.timeout(_RUN_S),
                self._session.ws_connect(
                    f"{self._pods}/{pod.name}/exec",
                    params=query,
                    headers=self._build_headers(),
                    protocols=(_PROTOCOL,),
                    ssl=self._ssl,
                ) as socket,
            ):
                async for message in socket:
                    if message.type is aiohttp.WSMsgType.BINARY and message.data:
                        texts[message.data[0]] = texts.get(message.data[0], b"") + message.data[1:]
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise _build_error(f"a program in the pod {pod.name}: {error or type(error).__name__}") from error
        if json.loads(texts[_STATUS] or b"{}").get("status") != "Success":
            said = (texts[_STDERR] or texts[_STATUS] or b"it ended without a status").decode(errors="replace")
            raise _build_error(f"a program in the pod {pod.name} failed: {said.strip()[-_MAX_TEXT:]}")
        return texts[_STDOUT].decode(errors="replace")

    async def _ask(self, method: str, url: str, **options: Any) -> Any:  # noqa: ANN401 - a document of the API
        try:
            async with self._session.request(
                method,
                url,
                headers=self._build_headers(),
                ssl=self._ssl,
                timeout=aiohttp.ClientTimeout(total=_TIMEOUT_S),
                **options,
            ) as answer:
                document = json.loads(await answer.read())
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise _build_error(f"{method} {url}: {error or type(error).__name__}") from error
        if answer.status >= HTTPStatus.BAD_REQUEST:
            raise _build_error(f"{method} {url}: {answer.status} {document.get('message', '')}")
        return document

    def _build_headers(self) -> dict[str, str]:
        # The kubelet renews the file.
        return {"authorization": f"Bearer {self._access.token.read_text(encoding='utf-8')}"}


def _read_pod(document: Mapping[str, Any]) -> Pod:
    status = document["status"]
    conditions = {one["type"]: one["status"] for one in status.get("conditions", ())}
    return Pod(
        document["metadata"]["name"],
        document["metadata"]["uid"],
        document["spec"]["containers"][0]["name"],
        conditions.get("Ready") == "True",
        sum(one["restartCount"] for one in status.get("containerStatuses", ())),
    )


def _build_error(text: str) -> PlatformError:
    return PlatformError(
        Reason.UPSTREAM_UNAVAILABLE,
        f"the cluster's API: {text}"[: 2 * _MAX_TEXT],
        "ask who runs the cluster whether pods of the stage chaos reach its API",
    )
