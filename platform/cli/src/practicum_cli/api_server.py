"""Decides how the command speaks to the API server that the kubeconfig names: who asks, for what, and what went wrong.

Only commands that were asked about a cluster import this: the client takes longer to load than ``--help`` may.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import ssl
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import msgspec
import yaml
from lightkube import ApiError, Client, ConfigError, KubeConfig, SingleConfig
from lightkube.config.models import NameValue, User
from lightkube.generic_resource import create_namespaced_resource
from lightkube.types import PatchType

from practicum_cli.cluster_runs import ClusterRun, Place, read_cluster_run
from practicum_cli.refusals import Refusal, explain_refusal
from practicum_core import labels
from practicum_core.errors import DataError, PlatformError, PracticumError, Reason, suggest_similar
from practicum_core.phases import Phase

WeekJobs = create_namespaced_resource("practicum.dev", "v1alpha1", "WeekJob", "weekjobs")
Pods = create_namespaced_resource("", "v1", "Pod", "pods")
ConfigMaps = create_namespaced_resource("", "v1", "ConfigMap", "configmaps")
FIELD_MANAGER = "practicum-cli"
_ANSWER_S, _CONNECT_S = 30.0, 10.0
_CONTAINER = "stage"
_PAGE = "index.html.gz"
_MAX_PAGE_BYTES = 64 << 20
"""A page is far smaller; what unpacks to more was not made by a report."""
_GZIP_BITS = 31
_RAY_NODE, _RAY_WORKER = "ray.io/node-type", "worker"
_EXEC_VERSION, _EXEC_ALIKE = "client.authentication.k8s.io/v1", "client.authentication.k8s.io/v1beta1"


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
        config: Which server, and who asks.
        namespace: The namespace; the context's own without it.
    """

    def __init__(self, config: SingleConfig, namespace: str | None) -> None:
        self.url = config.cluster.server
        self.namespace = namespace or config.namespace
        timeout = httpx2.Timeout(_ANSWER_S, connect=_CONNECT_S)
        with _explained(self.url):
            self._client = Client(
                config, namespace=self.namespace, timeout=timeout, field_manager=FIELD_MANAGER, http2=False
            )

    def close(self) -> None:
        """Close every connection."""
        self._client.close()

    def apply(self, document: dict[str, Any]) -> ClusterRun:
        """Make a week job be as the document says, by server-side apply.

        Raises:
            PracticumError: The server refuses it, or does not answer.
        """
        name, namespace = document["metadata"]["name"], document["metadata"]["namespace"]
        with _explained(f"{namespace}/{name}"):
            # Forced: who submits a file means what it says, whichever program wrote the keys before.
            kept = self._client.patch(
                WeekJobs, name, document, namespace=namespace, patch_type=PatchType.APPLY, force=True
            )
        return read_cluster_run(kept)

    def find(self, name: str, namespace: str | None = None) -> ClusterRun | None:
        """Return a week job; ``None`` where there is none of this name.

        Raises:
            PracticumError: The server refuses, or does not answer.
        """
        namespace = namespace or self.namespace
        with _explained(f"{namespace}/{name}"):
            try:
                return read_cluster_run(self._client.get(WeekJobs, name, namespace=namespace))
            except ApiError as error:
                if _is_absence(error, name):
                    return None
                raise

    def list_runs(self) -> list[ClusterRun]:
        """Return the week jobs of the namespace.

        Raises:
            PracticumError: The server refuses, or does not answer.
        """
        with _explained(f"week jobs of {self.namespace}"):
            return [read_cluster_run(document) for document in self._client.list(WeekJobs, namespace=self.namespace)]

    def list_pods(self, run: ClusterRun) -> Sequence[StagePod]:
        """Return the pods whose logs are those of a week job's steps, oldest first.

        Raises:
            PracticumError: The server refuses, or does not answer.
        """
        with _explained(f"pods of {run.title}"):
            found = list(self._client.list(Pods, namespace=run.namespace, labels={labels.WEEK_JOB_UID: run.uid}))
        found.sort(key=lambda pod: (pod["metadata"]["creationTimestamp"], pod["metadata"]["name"]))
        # A Ray worker's output comes with its head's.
        return [_read_pod(pod) for pod in found if pod["metadata"]["labels"].get(_RAY_NODE) != _RAY_WORKER]

    def iter_log(self, run: ClusterRun, pod: StagePod, *, follow: bool) -> Iterator[str]:
        """Yield the lines that a pod printed, none where its container never ran; with ``follow`` until it ends.

        Raises:
            PracticumError: The server refuses, or does not answer.
        """
        with _explained(f"log of {run.namespace}/{pod.name}"):
            try:
                yield from self._client.log(
                    pod.name, namespace=run.namespace, container=_CONTAINER, follow=follow, newlines=False
                )
            except ApiError as error:
                if error.status.code not in (httpx2.codes.BAD_REQUEST, httpx2.codes.NOT_FOUND):
                    raise

    def read_page(self, run: ClusterRun) -> bytes | None:
        """Return the evidence page of a week job; ``None`` where the cluster keeps none.

        Raises:
            DataError: What the cluster keeps is no page.
            PracticumError: The server refuses, or does not answer.
        """
        kind, _, name = (run.status.evidence or "").partition("/")
        if kind != "configmap":
            return None
        what = f"{run.namespace}/{name}"
        with _explained(what):
            try:
                kept = self._client.get(ConfigMaps, name, namespace=run.namespace).get("binaryData", {})
            except ApiError as error:
                if _is_absence(error, name):
                    return None
                raise
        return _unpack(kept.get(_PAGE, ""), what)


@contextlib.contextmanager
def connect(place: Place) -> Iterator[ApiServer]:
    """Hold a client for a place. Nothing is asked of the server yet.

    Raises:
        PlatformError: No kubeconfig names this place, or its credentials cannot be used.
    """
    server = ApiServer(_read_config(place.context), place.namespace)
    try:
        yield server
    finally:
        server.close()


def _read_config(context: str | None) -> SingleConfig:
    """Return the context from the first file that has it: ``$KUBECONFIG``, else the usual place, else the pod's own."""
    named = [Path(part) for part in os.environ.get("KUBECONFIG", "").split(os.pathsep) if part]
    paths = [path.expanduser() for path in named or [Path("~/.kube/config")]]
    files = [path for path in paths if path.is_file()]
    shown = ", ".join(map(str, paths))
    try:
        configs = [KubeConfig.from_file(path) for path in files] or [KubeConfig.from_service_account()]
        return _prepare(_choose_context(configs, context))
    except (
        ConfigError,
        msgspec.ValidationError,
        yaml.YAMLError,
        OSError,
        KeyError,
        TypeError,
        AttributeError,
    ) as error:
        detail = f"{shown}: {_flatten(error)}" if files else f"no cluster: no file {shown}"
        fix = "put your kubeconfig there or name it in $KUBECONFIG; choose a context of it with --context"
        raise PlatformError(Reason.CLUSTER_MISSING, detail, fix) from error


def _choose_context(configs: Sequence[KubeConfig], context: str | None) -> SingleConfig:
    wanted = context or next((one.current_context for one in configs if one.current_context), None)
    chosen = next((found for one in configs if wanted in one.contexts and (found := one.get(wanted))), None)
    if chosen is None:
        known = [name for one in configs for name in one.contexts]
        similar = suggest_similar(wanted or "", known)
        raise ConfigError(f"no context '{wanted}'{similar}" if wanted else "it names no current context")
    return chosen


def _prepare(config: SingleConfig) -> SingleConfig:
    """Fill in what the client needs: a user, and the older name of a plugin interface that it alone knows."""
    user = config.user or User()
    if user.exec is not None and user.exec.apiVersion == _EXEC_VERSION:
        # The two versions answer alike; the plugin is told which one was asked for.
        asked = {"apiVersion": _EXEC_VERSION, "kind": "ExecCredential", "spec": {"interactive": False}}
        env = [*(user.exec.env or ()), NameValue("KUBERNETES_EXEC_INFO", json.dumps(asked))]
        user = msgspec.structs.replace(user, exec=msgspec.structs.replace(user.exec, apiVersion=_EXEC_ALIKE, env=env))
    return config._replace(user=user)


@contextlib.contextmanager
def _explained(what: str) -> Iterator[None]:
    """Turn the client's faults into the command's.

    Raises:
        PracticumError: In place of any of them.
    """
    try:
        yield
    except ApiError as error:
        raise explain_refusal(what, _read_refusal(error)) from error
    except httpx2.HTTPStatusError as error:
        raise explain_refusal(what, Refusal(error.response.status_code)) from error
    except httpx2.TransportError as error:
        raise _explain_silence(what, error) from error
    except (ConfigError, OSError, ValueError, KeyError) as error:
        detail = f"{what}: the credentials cannot be used: {_flatten(error)}"
        raise PlatformError(Reason.CLUSTER_MISSING, detail, "mend your kubeconfig, or log in again") from error


def _explain_silence(what: str, error: httpx2.TransportError) -> PracticumError:
    server = error.request.url.copy_with(path="/") if error._request else ""  # noqa: SLF001 - `request` raises without
    detail = f"{what}: the API server {server} does not answer: {_flatten(error)}"
    if "CERTIFICATE" in str(error) or isinstance(error.__cause__, ssl.SSLError):
        return PlatformError(Reason.CLUSTER_MISSING, detail, "get a kubeconfig whose certificates are that server's")
    return PlatformError(
        Reason.UPSTREAM_UNAVAILABLE, detail, "try again; if it stays so, look at the server in your kubeconfig"
    )


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


def _read_refusal(error: ApiError) -> Refusal:
    status = error.status
    details = status.details
    causes = [f"{cause.field}: {cause.message}" if cause.field else cause.message for cause in _list_causes(details)]
    kind = (details.kind if details else None) or ""
    return Refusal(status.code or 0, status.message or "", causes, kind)


def _list_causes(details: Any) -> Sequence[Any]:  # noqa: ANN401 - the client's own model
    return (details.causes if details else None) or ()


def _is_absence(error: ApiError, name: str) -> bool:
    """Whether the object is missing, and not its kind or its namespace."""
    details = error.status.details
    return error.status.code == httpx2.codes.NOT_FOUND and details is not None and details.name == name


def _flatten(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__
