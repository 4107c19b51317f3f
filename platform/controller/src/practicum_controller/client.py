"""Calls to the Kubernetes API server: a few verbs on plain documents, and typed faults.

The connection, the credentials and the sessions are those of the official client (``kubernetes.aio``). Its generated
models and its watch are not used: see ``docs/decisions/0014-one-kubernetes-client.md``. Everything that changes the
cluster goes through :class:`Cluster`, so that a test can break any single call.
"""

from __future__ import annotations

import urllib.request
from collections.abc import AsyncIterator, Mapping
from types import MappingProxyType
from typing import Any, Protocol
from urllib.parse import urlencode, urlsplit

import aiohttp
from kubernetes.aio import config
from kubernetes.aio.client import ApiClient, Configuration
from pydantic_core import from_json

from practicum_controller.kinds import Resource
from practicum_controller.lines import split_lines
from practicum_controller.owners import get_owner_uid
from practicum_core.errors import PlatformError, Reason
from practicum_core.labels import FIELD_MANAGER

Document = dict[str, Any]
_APPLY, _MERGE = "application/apply-patch+yaml", "application/merge-patch+json"
_TIMEOUT_S, _WATCH_S = 30, 290
_NOT_FOUND, _CONFLICT, _GONE = 404, 409, 410
_LIST_PAGE = 250
_EVERYTHING: Mapping[str, str] = MappingProxyType({})
_BAD_REQUEST, _SERVER_FAULT = 400, 500
_TOO_MANY = 429


class ApiFault(PlatformError):  # noqa: N818 - a kind of PlatformError, which is named as one
    """The API server refused a call, or did not answer (status 0)."""

    def __init__(self, status: int, message: str, what: str) -> None:
        is_passing = status in (_CONFLICT, _TOO_MANY, 0) or status >= _SERVER_FAULT
        reason = Reason.UPSTREAM_UNAVAILABLE if is_passing else Reason.INTERNAL
        super().__init__(reason, f"{what}: {status} {message}")
        self.status = status

    @property
    def is_conflict(self) -> bool:
        """Whether the object changed meanwhile, or exists already."""
        return self.status == _CONFLICT

    @property
    def is_refusal(self) -> bool:
        """Whether the same call would be refused again until somebody changes something."""
        return _BAD_REQUEST <= self.status < _SERVER_FAULT and self.status not in (_CONFLICT, _GONE, _TOO_MANY)

    @property
    def is_too_old(self) -> bool:
        """Whether a watch must begin again with a list."""
        return self.status == _GONE


class Cluster(Protocol):
    """What the reconciler needs of an API server."""

    async def apply(self, resource: Resource, document: Document) -> Document:
        """Bring an object to what the document says, by server-side apply."""

    async def make(self, resource: Resource, document: Document) -> Document:
        """Create an object that is never changed afterwards; if it exists already, as :meth:`apply`."""

    async def delete(self, resource: Resource, namespace: str | None, name: str, uid: str | None = None) -> None:
        """Delete an object (only the one of that ``uid``, if given); do nothing if it is gone."""

    async def patch(
        self, resource: Resource, namespace: str | None, name: str, document: Document, *, subresource: str = ""
    ) -> Document | None:
        """Merge the document into an object; ``None`` if it is gone.

        A document with ``metadata.resourceVersion`` is refused (409) if the object has changed since that version.
        """

    async def read(self, path: str) -> Document | None:
        """Return the document at a path, ``None`` if there is none."""


class KubernetesCluster:
    """The API server that the configuration names.

    Args:
        client: The official client: its connections, and the credentials of its configuration.
    """

    def __init__(self, client: ApiClient) -> None:
        self.client = client
        settings = client.configuration
        # By default the session reads ~/.netrc and the proxy variables in a thread at every request.
        settings.client_session_kwargs = {"trust_env": False, "cookie_jar": aiohttp.DummyCookieJar()}
        client.rest_client.proxy = settings.proxy or _find_proxy(str(settings.host))
        client.user_agent = FIELD_MANAGER

    @classmethod
    async def connect(cls, max_connections: int = 64) -> KubernetesCluster:
        """Read the configuration of the pod, else the kubeconfig. Close the result with :meth:`close`."""
        settings = Configuration(connection_pool_maxsize=max_connections)
        try:
            config.load_incluster_config(client_configuration=settings)
        except config.ConfigException:
            await config.load_kube_config(client_configuration=settings)
        return cls(ApiClient(settings))

    async def close(self) -> None:
        """Close every connection."""
        await self.client.close()

    async def apply(self, resource: Resource, document: Document) -> Document:
        """Bring an object to what the document says, by server-side apply.

        Raises:
            ApiFault: The API server refused it.
        """
        metadata = document["metadata"]
        path = resource.build_path(metadata.get("namespace"), metadata["name"])
        query = {"fieldManager": FIELD_MANAGER, "force": "true"}
        applied = await self._call("PATCH", path, body=document, content_type=_APPLY, query=query)
        return applied or {}

    async def make(self, resource: Resource, document: Document) -> Document:
        """Create an object; if it exists already, apply it. A create is cheaper: it has no managed fields to merge.

        Raises:
            ApiFault: The API server refused it; 409 if another owner has an object of this name.
        """
        path = resource.build_path(document["metadata"].get("namespace"))
        try:
            made = await self._call("POST", path, body=document, query={"fieldManager": FIELD_MANAGER})
        except ApiFault as fault:
            if not fault.is_conflict:
                raise
            await self._refuse_anothers(resource, document)
            return await self.apply(resource, document)
        return made or {}

    async def _refuse_anothers(self, resource: Resource, document: Document) -> None:
        """Leave alone what an owner of the same name left that was deleted: it is being deleted, too."""
        metadata = document["metadata"]
        path = resource.build_path(metadata.get("namespace"), metadata["name"])
        owner, known = get_owner_uid(document), get_owner_uid(await self.read(path) or document)
        if owner != known:
            raise ApiFault(_CONFLICT, "one of this name belongs to another owner, and may be about to be deleted", path)

    async def delete(self, resource: Resource, namespace: str | None, name: str, uid: str | None = None) -> None:
        """Delete an object and what it owns; do nothing if it is gone or another object has its name now."""
        body: Document = {"propagationPolicy": "Background"}
        if uid:
            body["preconditions"] = {"uid": uid}
        try:
            await self._call("DELETE", resource.build_path(namespace, name), body=body, is_absence_ok=True)
        except ApiFault as fault:
            if not (uid and fault.is_conflict):
                raise

    async def patch(
        self, resource: Resource, namespace: str | None, name: str, document: Document, *, subresource: str = ""
    ) -> Document | None:
        """Merge the document into an object; ``None`` if it is gone.

        Raises:
            ApiFault: 409 if the document names a ``metadata.resourceVersion`` and the object has changed since; or the
                API server refused it for another reason.
        """
        path = resource.build_path(namespace, name) + (f"/{subresource}" if subresource else "")
        query = {"fieldManager": FIELD_MANAGER}
        return await self._call("PATCH", path, body=document, content_type=_MERGE, query=query, is_absence_ok=True)

    async def create(self, path: str, document: Document) -> Document:
        """Create an object in the collection at a path; for reviews, which are not stored."""
        return await self._call("POST", path, body=document) or {}

    async def read(self, path: str) -> Document | None:
        """Return the document at a path, ``None`` if there is none."""
        return await self._call("GET", path, is_absence_ok=True)

    async def list_pages(
        self, resource: Resource, selection: Mapping[str, str] = _EVERYTHING
    ) -> AsyncIterator[tuple[list[Document], str]]:
        """Yield the objects of a kind in all namespaces page by page, each page with the version to watch from.

        Args:
            resource: The kind's collection.
            selection: ``labelSelector`` and ``fieldSelector``, applied by the server.
        """
        query = {"limit": str(_LIST_PAGE), **selection}
        while True:
            page = await self._call("GET", resource.build_path(), query=query) or {}
            yield page.get("items", []), page["metadata"]["resourceVersion"]
            if not page["metadata"].get("continue"):
                return
            query["continue"] = page["metadata"]["continue"]

    async def watch(
        self, resource: Resource, version: str, selection: Mapping[str, str] = _EVERYTHING
    ) -> AsyncIterator[tuple[str, Document]]:
        """Yield ``(type, object)`` from a version on, until the server ends the watch.

        Raises:
            ApiFault: 410 when the version is too old: list again.
        """
        query = {
            "watch": "true",
            "resourceVersion": version,
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(_WATCH_S),
            **selection,
        }
        path = resource.build_path()
        response = await self._send("GET", path, query=query, timeout_s=_WATCH_S + _TIMEOUT_S)
        async with response:
            await _raise_for_status(response, f"watch {path}")
            async for line in split_lines(_read_chunks(response, f"watch {path}")):
                event = _read_json(line)
                if event["type"] == "ERROR":
                    raise ApiFault(event["object"].get("code", 0), event["object"].get("message", ""), f"watch {path}")
                yield event["type"], event["object"]

    async def _call(
        self,
        method: str,
        path: str,
        *,
        body: Document | None = None,
        content_type: str = "application/json",
        query: Mapping[str, str] = _EVERYTHING,
        is_absence_ok: bool = False,
    ) -> Document | None:
        what = f"{method} {path}"
        response = await self._send(method, path, body=body, content_type=content_type, query=query)
        async with response:
            if is_absence_ok and response.status == _NOT_FOUND:
                return None
            await _raise_for_status(response, what)
            return _read_json(b"".join([chunk async for chunk in _read_chunks(response, what)]))

    async def _send(
        self,
        method: str,
        path: str,
        *,
        body: Document | None = None,
        content_type: str = "application/json",
        query: Mapping[str, str] = _EVERYTHING,
        timeout_s: float = _TIMEOUT_S,
    ) -> aiohttp.ClientResponse:
        # Compressed answers cost both sides more time than the network inside a cluster takes.
        headers = {"Accept": "application/json", "Accept-Encoding": "identity", "Content-Type": content_type}
        headers |= self.client.default_headers
        await self.client.update_params_for_auth(headers, [], ["BearerToken"], path, method, body)
        mark = "&" if "?" in path else "?"
        url = f"{self.client.configuration.host}{path}" + (f"{mark}{urlencode(query)}" if query else "")
        timeout = aiohttp.ClientTimeout(total=timeout_s)
        try:
            answer = await self.client.rest_client.request(method, url, headers, body, _request_timeout=timeout)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise ApiFault(0, f"{type(error).__name__}: {error}", f"{method} {path}") from error
        response: aiohttp.ClientResponse = answer.response
        return response


def _find_proxy(host: str) -> str | None:
    """Return the proxy that the environment names for a server."""
    address = urlsplit(host)
    return None if urllib.request.proxy_bypass(address.netloc) else urllib.request.getproxies().get(address.scheme)


def _read_json(text: bytes) -> Document:
    """Read a document; strings that many objects have are kept once."""
    document: Document = from_json(text, cache_strings="all")
    return document


async def _read_chunks(response: aiohttp.ClientResponse, what: str) -> AsyncIterator[bytes]:
    try:
        async for chunk in response.content.iter_any():
            yield chunk
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise ApiFault(0, f"cut off: {type(error).__name__}: {error}", what) from error


async def _raise_for_status(response: aiohttp.ClientResponse, what: str) -> None:
    if response.ok:
        return
    text = await response.text()
    try:
        message = from_json(text).get("message", text)
    except ValueError:
        message = text
    raise ApiFault(response.status, message, what)
