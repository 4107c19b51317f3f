"""A small Kubernetes client for the tooling, with HTTPS and JSON from the standard library.

It has no table of kinds; it asks the server for the path of each kind.
"""

from __future__ import annotations

import http.client
import json
import ssl
import tempfile
import time
import urllib.parse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from practicum_cluster.kubeconfig import read_kubeconfig

JSON = dict[str, Any]
T = TypeVar("T")
_MERGE = "application/merge-patch+json"
_APPLY = "application/apply-patch+yaml"
_TIMEOUT_S = 60.0


class ApiError(Exception):
    """An error response of the API server."""

    def __init__(self, status: int, document: JSON) -> None:
        """Store the status code and the message of the server."""
        super().__init__(f"{status} {document.get('reason', '')}: {document.get('message', document)}")
        self.status = status
        self.document = document


@dataclass(frozen=True)
class Kind:
    """The API path of a kind."""

    plural: str
    is_namespaced: bool


class Api:
    """A client with one user's credentials. Thread-safe: every call has its own connection."""

    def __init__(self, kubeconfig: Path) -> None:
        """Read credentials.

        Raises:
            RuntimeError: This client cannot use the credentials; the message says why.
        """
        credentials = read_kubeconfig(kubeconfig)
        self.url = credentials.url
        self._address = urllib.parse.urlsplit(self.url)
        self._context = ssl.create_default_context(cadata=credentials.authority)
        self._headers = {"Authorization": f"Bearer {credentials.token}"} if credentials.token else {}
        if credentials.certificate:
            self._load_certificate(credentials.certificate)
        self._kinds: dict[tuple[str, str], Kind] = {}

    def _load_certificate(self, certificate: bytes) -> None:
        with tempfile.NamedTemporaryFile() as both:
            both.write(certificate)
            both.flush()
            self._context.load_cert_chain(both.name)

    def request(self, method: str, path: str, body: object = None, content_type: str = "application/json") -> JSON:
        """Send a request and return the document in the response.

        Raises:
            ApiError: The server returned an error.
            OSError: The server could not be reached.
        """
        status, text = self.send(method, path, body, content_type)
        document: JSON = _parse(text)
        if status >= http.HTTPStatus.BAD_REQUEST:
            raise ApiError(status, document)
        return document

    def send(
        self, method: str, path: str, body: object = None, content_type: str = "application/json"
    ) -> tuple[int, str]:
        """Send a request and return the status code and the text of the response, also for errors."""
        connection = http.client.HTTPSConnection(
            self._address.hostname or "", self._address.port, timeout=_TIMEOUT_S, context=self._context
        )
        try:
            data = None if body is None else json.dumps(body)
            headers = {**self._headers, "Content-Type": content_type}
            # The server may be behind a gateway, below a path.
            connection.request(method, self._address.path.rstrip("/") + path, data, headers)
            answer = connection.getresponse()
            return answer.status, answer.read().decode(errors="replace")
        finally:
            connection.close()

    def get(self, path: str) -> JSON:
        """Return a document."""
        return self.request("GET", path)

    def find(self, path: str) -> JSON | None:
        """Return a document; ``None`` if it does not exist."""
        try:
            return self.get(path)
        except ApiError as error:
            if error.status == http.HTTPStatus.NOT_FOUND:
                return None
            raise

    def create(self, document: JSON, namespace: str | None = None) -> JSON:
        """Create an object."""
        return self.request("POST", self.get_path(document, namespace, is_collection=True), document)

    def apply(self, document: JSON, namespace: str | None = None, manager: str = "practicum-cluster") -> JSON:
        """Apply an object with server-side apply; conflicts with other field managers are forced."""
        path = self.get_path(document, namespace)
        return self.request("PATCH", f"{path}?fieldManager={manager}&force=true", document, _APPLY)

    def patch(self, path: str, body: JSON) -> JSON:
        """Send a merge patch for an object."""
        return self.request("PATCH", path, body, _MERGE)

    def delete(self, path: str, policy: str = "Background") -> None:
        """Delete an object if it exists."""
        try:
            self.request("DELETE", path, {"propagationPolicy": policy})
        except ApiError as error:
            if error.status != http.HTTPStatus.NOT_FOUND:
                raise

    def get_path(self, document: JSON, namespace: str | None = None, *, is_collection: bool = False) -> str:
        """Return the path of an object. The namespace in the object overrides ``namespace``."""
        version, kind = document["apiVersion"], self._get_kind(document["apiVersion"], document["kind"])
        root = f"/apis/{version}" if "/" in version else f"/api/{version}"
        where = document["metadata"].get("namespace") or namespace or "default"
        middle = f"/namespaces/{where}" if kind.is_namespaced else ""
        path = f"{root}{middle}/{kind.plural}"
        return path if is_collection else f"{path}/{document['metadata']['name']}"

    def _get_kind(self, version: str, name: str) -> Kind:
        if (version, name) not in self._kinds:
            listing = self.get(f"/apis/{version}" if "/" in version else f"/api/{version}")
            for resource in listing["resources"]:
                if "/" not in resource["name"]:
                    self._kinds[version, resource["kind"]] = Kind(resource["name"], resource["namespaced"])
        return self._kinds[version, name]


def _parse(text: str) -> JSON:
    try:
        document = json.loads(text)
    except ValueError:
        return {"message": text}
    return document if isinstance(document, dict) else {"message": text}


def wait_until(look: Callable[[], T | None], what: str, timeout_s: float = 60, interval_s: float = 0.1) -> T:
    """Call ``look`` until it returns something, and return that. An unreachable server counts as nothing.

    Raises:
        TimeoutError: It returned nothing in time; the message has the last error.
    """
    deadline = time.monotonic() + timeout_s
    last: Exception | None = None
    while True:
        try:
            seen = look()
        except (OSError, http.client.HTTPException, ApiError, KeyError, IndexError) as error:
            seen, last = None, error
        if seen:
            return seen
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not seen in {timeout_s:.0f} s" + (f" (last: {last})" if last else ""))
        time.sleep(interval_s)
