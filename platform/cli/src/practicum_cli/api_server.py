"""Calls of the command to an API server: week jobs, pods, logs and evidence pages, and what went wrong.

Only commands that were asked about a cluster import this: the client takes longer to load than ``--help`` may.
"""

from __future__ import annotations

import base64
import contextlib
import json
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from kubernetes.client import ApiClient, ApiException, Configuration
from urllib3 import HTTPResponse
from urllib3.exceptions import HTTPError

from practicum_cli.cluster_runs import ClusterRun, Place, read_cluster_run
from practicum_cli.kubeconfig import explain_credentials, flatten, read_kubeconfig
from practicum_cli.refusals import Refusal, explain_refusal
from practicum_core import labels
from practicum_core.api_keys import KEY_FILE, KEYS_CONFIG_MAP, KeyFile, parse_key_file
from practicum_core.errors import DataError, PlatformError, PracticumError, Reason
from practicum_core.phases import Phase

_CORE, PRACTICUM = "/api/v1", "/apis/practicum.dev/v1alpha1"
FIELD_MANAGER = "practicum-cli"
_APPLY = "application/apply-patch+yaml"
_ANSWER_S, _CONNECT_S = 30.0, 10.0
_CONTAINER = "stage"
_TRIES = 5
_PAGE = "index.html.gz"
_MAX_PAGE_BYTES = 64 << 20
"""A page is far smaller; what unpacks to more was not made by a report."""
_GZIP_BITS = 31
_RAY_NODE, _RAY_WORKER = "ray.io/node-type", "worker"


@dataclass(frozen=True)
class StagePod:
    """A pod that runs a step, or ran it."""

    name: str
    uid: str
    step: str
    is_started: bool


class ApiServer:
    """The API server of one context, for one namespace.

    Args:
        settings: Which server, and the credentials for it.
        namespace: The namespace of all calls that name none.
    """

    def __init__(self, settings: Configuration, namespace: str) -> None:
        self.url = str(settings.host)
        self.namespace = namespace
        with explain_credentials(self.url):
            self._client = ApiClient(settings)
        self._client.user_agent = FIELD_MANAGER

    def close(self) -> None:
        """Close every connection."""
        self._client.close()

    def apply(self, document: dict[str, Any]) -> ClusterRun:
        """Bring a week job to what the document says, by server-side apply.

        Raises:
            PracticumError: The server refuses it, or does not answer.
        """
        name, namespace = document["metadata"]["name"], document["metadata"]["namespace"]
        # Forced: the file that is submitted decides, whichever program wrote the same fields before.
        query = {"fieldManager": FIELD_MANAGER, "force": "true"}
        with self._explained(f"{namespace}/{name}"):
            kept = self._call("PATCH", _build_path(PRACTICUM, namespace, "weekjobs", name), query=query, body=document)
        return read_cluster_run(kept)

    def find(self, name: str, namespace: str | None = None) -> ClusterRun | None:
        """Return a week job; ``None`` if there is none of this name.

        Raises:
            PracticumError: The server refuses, or does not answer.
        """
        namespace = namespace or self.namespace
        with self._explained(f"{namespace}/{name}"):
            found = self._find(_build_path(PRACTICUM, namespace, "weekjobs", name), name)
        return None if found is None else read_cluster_run(found)

    def list_runs(self) -> list[ClusterRun]:
        """Return the week jobs of the namespace.

        Raises:
            PracticumError: The server refuses, or does not answer.
        """
        with self._explained(f"week jobs of {self.namespace}"):
            found = self._call("GET", _build_path(PRACTICUM, self.namespace, "weekjobs"))
        return [read_cluster_run(document) for document in found["items"]]

    def list_pods(self, run: ClusterRun) -> Sequence[StagePod]:
        """Return the pods whose logs are those of a week job's steps, oldest first.

        Raises:
            PracticumError: The server refuses, or does not answer.
        """
        query = {"labelSelector": f"{labels.WEEK_JOB_UID}={run.uid}"}
        with self._explained(f"pods of {run.title}"):
            found = self._call("GET", _build_path(_CORE, run.namespace, "pods"), query=query)["items"]
        found.sort(key=lambda pod: (pod["metadata"]["creationTimestamp"], pod["metadata"]["name"]))
        # A Ray worker's output comes with its head's.
        return [_read_pod(pod) for pod in found if pod["metadata"]["labels"].get(_RAY_NODE) != _RAY_WORKER]

    def list_server_pods(self, run: ClusterRun) -> list[dict[str, Any]]:
        """Return the pods of a week job that are there, as the cluster has them.

        Raises:
            PracticumError: The server refuses, or does not answer.
        """
        query = {"labelSelector": f"{labels.WEEK_JOB_UID}={run.uid}"}
        with self._explained(f"pods of {run.title}"):
            found: list[dict[str, Any]] = self._call("GET", _build_path(_CORE, run.namespace, "pods"), query=query)[
                "items"
            ]
        return found

    def iter_log(self, run: ClusterRun, pod: StagePod, *, follow: bool) -> Iterator[str]:
        """Yield the lines that a pod printed, none if its container never ran; with ``follow`` until it ends.

        Raises:
            PracticumError: The server refuses, or does not answer.
        """
        query = {"container": _CONTAINER, "follow": json.dumps(follow)}
        with self._explained(f"log of {run.namespace}/{pod.name}"):
            try:
                # A stage may be silent for long, so a log that is followed has no time limit between two lines.
                path = _build_path(_CORE, run.namespace, "pods", pod.name, "log")
                answer = self._send("GET", path, query=query, answer_s=None if follow else _ANSWER_S)
            except ApiException as error:
                if error.status not in (HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND):
                    raise
                return
            with contextlib.closing(answer):
                for line in answer:
                    yield line.decode(errors="replace").rstrip("\n")

    def read_page(self, run: ClusterRun) -> bytes | None:
        """Return the evidence page of a week job; ``None`` if the cluster keeps none.

        Raises:
            DataError: What the cluster keeps is no page.
            PracticumError: The server refuses, or does not answer.
        """
        kind, _, name = (run.status.evidence or "").partition("/")
        if kind != "configmap":
            return None
        what = f"{run.namespace}/{name}"
        with self._explained(what):
            kept = self._find(_build_path(_CORE, run.namespace, "configmaps", name), name)
        return None if kept is None else _unpack(kept.get("binaryData", {}).get(_PAGE, ""), what)

    def read_keys(self) -> KeyFile:
        """Return the keys of the gateways of the namespace.

        Raises:
            PracticumError: The server refuses, does not answer, or there is no place for keys.
        """
        return self._read_keys()[0]

    def change_keys(self, change: Callable[[KeyFile], KeyFile]) -> None:
        """Change the keys of the namespace. Of two changes at the same time, one is made after the other.

        Raises:
            PracticumError: The server refuses, does not answer, or there is no place for keys.
        """
        path = _build_path(_CORE, self.namespace, "configmaps", KEYS_CONFIG_MAP)
        for is_last in (*[False] * _TRIES, True):
            file, version = self._read_keys()
            metadata = {"name": KEYS_CONFIG_MAP, "namespace": self.namespace, "resourceVersion": version}
            data = {KEY_FILE: change(file).model_dump_json(indent=2, exclude_none=True)}
            body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}
            with self._explained(f"keys of {self.namespace}"):
                try:
                    self._call("PATCH", path, query={"fieldManager": FIELD_MANAGER, "force": "true"}, body=body)
                except ApiException as error:
                    # Somebody else changed them since they were read.
                    if error.status != HTTPStatus.CONFLICT or is_last:
                        raise
                else:
                    return

    def _read_keys(self) -> tuple[KeyFile, str]:
        where = f"keys of {self.namespace}"
        with self._explained(where):
            kept = self._find(_build_path(_CORE, self.namespace, "configmaps", KEYS_CONFIG_MAP), KEYS_CONFIG_MAP)
        if kept is None:
            detail = f"{where}: there is no ConfigMap {KEYS_CONFIG_MAP}: the namespace belongs to no course"
            raise PlatformError(Reason.COURSE_MISSING, detail, "name your own namespace with --namespace")
        text = (kept.get("data") or {}).get(KEY_FILE)
        file = parse_key_file(text, f"{self.namespace}/{KEYS_CONFIG_MAP}") if text else KeyFile()
        return file, kept["metadata"]["resourceVersion"]

    def _find(self, path: str, name: str) -> dict[str, Any] | None:
        """Return an object; ``None`` if it is missing, and not its kind or its namespace."""
        try:
            return self._call("GET", path)
        except ApiException as error:
            details = _read_status(error).get("details") or {}
            if error.status == HTTPStatus.NOT_FOUND and details.get("name") == name:
                return None
            raise

    def _call(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: dict[str, Any] | None = None,
    ) -> dict[str, Any]:
        answer = self._send(method, path, query=query, body=body)
        with contextlib.closing(answer):
            document: dict[str, Any] = json.loads(answer.data)
        return document

    def _send(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: dict[str, Any] | None = None,
        answer_s: float | None = _ANSWER_S,
    ) -> HTTPResponse:
        request = self._client.param_serialize(
            method,
            path,
            query_params=list((query or {}).items()),
            header_params={"Accept": "application/json", "Content-Type": _APPLY if body else "application/json"},
            body=body,
            auth_settings=["BearerToken"],
        )
        answer = self._client.call_api(*request, _request_timeout=(_CONNECT_S, answer_s))
        if answer.status >= HTTPStatus.BAD_REQUEST:
            answer.read()
            raise ApiException.from_response(http_resp=answer, body=None, data=None)
        response: HTTPResponse = answer.response
        return response

    @contextlib.contextmanager
    def _explained(self, what: str) -> Iterator[None]:
        """Turn the client's faults into the command's.

        Raises:
            PracticumError: In place of any of them.
        """
        try:
            with explain_credentials(what):
                yield
        except ApiException as error:
            if not error.status:
                raise self._explain_certificates(what, error) from error
            raise explain_refusal(what, _read_refusal(error)) from error
        except HTTPError as error:
            detail = f"{what}: the API server {self.url} does not answer: {flatten(error)}"
            fix = "try again; if it stays so, look at the server in your kubeconfig"
            raise PlatformError(Reason.UPSTREAM_UNAVAILABLE, detail, fix) from error

    def _explain_certificates(self, what: str, error: ApiException) -> PracticumError:
        """Explain a refused handshake, the one fault that the client gives without a status."""
        said = " ".join(str(error.reason).split())
        detail = f"{what}: the API server {self.url} does not answer: {said}"
        return PlatformError(Reason.CLUSTER_MISSING, detail, "get a kubeconfig whose certificates are that server's")


@contextlib.contextmanager
def connect(place: Place) -> Iterator[ApiServer]:
    """Hold a client for a place. Nothing is asked of the server yet.

    Raises:
        PlatformError: No kubeconfig names this place, or its credentials cannot be used.
    """
    settings, namespace = read_kubeconfig(place.context)
    server = ApiServer(settings, place.namespace or namespace)
    try:
        yield server
    finally:
        server.close()


def _build_path(group: str, namespace: str, *parts: str) -> str:
    """Return the path of a collection, of an object in it, or of a part of that object.

    >>> _build_path("/api/v1", "student-01", "pods", "a/b", "log")
    '/api/v1/namespaces/student-01/pods/a%2Fb/log'
    """
    return "/".join([group, "namespaces", *(quote(part, safe="") for part in (namespace, *parts))])


def _read_pod(pod: Mapping[str, Any]) -> StagePod:
    metadata = pod["metadata"]
    is_started = pod.get("status", {}).get("phase", Phase.PENDING) != Phase.PENDING
    return StagePod(metadata["name"], metadata["uid"], metadata["labels"].get(labels.STEP, ""), is_started)


def _unpack(text: str, what: str) -> bytes:
    unpacker = zlib.decompressobj(_GZIP_BITS)
    try:
        page = unpacker.decompress(base64.b64decode(text, validate=True), _MAX_PAGE_BYTES)
    except (ValueError, zlib.error) as error:
        raise DataError(f"{what}: no page ({error})", "read it in the workspace") from error
    if not unpacker.eof:
        raise DataError(
            f"{what}: the page is cut off or larger than {_MAX_PAGE_BYTES} bytes", "read it in the workspace"
        )
    return page


def _read_status(error: ApiException) -> dict[str, Any]:
    """Return the ``Status`` that an API server answers a refusal with; empty where something else answered."""
    try:
        status = json.loads(error.body or "")
    except ValueError:
        return {}
    return status if isinstance(status, dict) else {}


def _read_refusal(error: ApiException) -> Refusal:
    status = _read_status(error)
    details = status.get("details") or {}
    causes = [
        f"{cause['field']}: {cause['message']}" if cause.get("field") else str(cause.get("message", ""))
        for cause in details.get("causes") or ()
    ]
    return Refusal(error.status, status.get("message") or "", causes, details.get("kind") or "")
