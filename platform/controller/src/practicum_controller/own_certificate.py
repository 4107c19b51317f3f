"""The controller's own certificate: kept in a Secret that the chart leaves empty, written to files for the server."""

from __future__ import annotations

import asyncio
import base64
import binascii
import datetime as dt
import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from practicum_controller.certificates import AUTHORITY, CERTIFICATE, KEY, renew
from practicum_controller.client import ApiFault, Cluster
from practicum_controller.kinds import SECRETS
from practicum_controller.settings import Settings
from practicum_core.atomic import write_text_atomic
from practicum_core.errors import ConfigError, PlatformError

LOGGER = logging.getLogger(__name__)
_CHECK_S = 3600.0
_TRIES = 5


class OwnCertificate:
    """Issues, renews and fetches the certificate. Every replica has the same one: the Secret's.

    Args:
        cluster: Where the Secret is.
        settings: Names the Secret, the hosts, the validity and the folder of the files.
        get_now: The clock, with a time zone.
    """

    def __init__(self, cluster: Cluster, settings: Settings, get_now: Callable[[], dt.datetime]) -> None:
        self._cluster = cluster
        self._settings = settings
        self._get_now = get_now

    async def ensure(self) -> None:
        """Write a valid certificate into the folder, and into the Secret where that has none.

        Raises:
            ConfigError: The Secret does not exist.
            ApiFault: The API server refused to show or to change it.
        """
        files = await self._fetch()
        await asyncio.to_thread(self._write, files)

    async def keep_fresh(self) -> None:
        """Renew the certificate in time, until cancelled."""
        while True:
            await asyncio.sleep(_CHECK_S)
            try:
                await self.ensure()
            except PlatformError as error:
                LOGGER.warning("the certificate was not renewed: %s", error.detail)

    async def _fetch(self) -> Mapping[str, str]:
        settings, name = self._settings, self._settings.tls_secret
        for attempt in range(_TRIES):
            secret = await self._cluster.read(SECRETS.build_path(settings.namespace, name))
            if secret is None:
                detail = f"Secret {name} is not in namespace {settings.namespace}"
                raise ConfigError(detail, "upgrade the release: the chart creates it, without content")
            kept = read_files(secret)
            hosts = [host for host in settings.tls_hosts.split(",") if host]
            made = renew(kept, hosts, dt.timedelta(days=settings.tls_validity_days), self._get_now())
            if made is None:
                return kept
            # Another replica may have issued one meanwhile: the older version is refused, and that one is read.
            seen = {"resourceVersion": secret["metadata"]["resourceVersion"]}
            data = {key: base64.b64encode(text.encode()).decode() for key, text in made.items()}
            try:
                await self._cluster.patch(SECRETS, settings.namespace, name, {"metadata": seen, "data": data})
            except ApiFault as fault:
                if not fault.is_conflict or attempt + 1 == _TRIES:
                    raise
                continue
            LOGGER.info("issued a certificate for %s", ", ".join(hosts))
            return made
        raise AssertionError("the last attempt returns or raises")

    def _write(self, files: Mapping[str, str]) -> None:
        folder = Path(self._settings.tls_dir)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        # The server loads both when the certificate changes, so the key comes first.
        for name in (AUTHORITY, KEY, CERTIFICATE):
            path = folder / name
            if not path.is_file() or path.read_text(encoding="ascii") != files[name]:
                write_text_atomic(path, files[name])


def read_files(secret: Mapping[str, Any]) -> dict[str, str]:
    """Return the content of a Secret, without what is no text.

    >>> read_files({"data": {"ca.crt": "UEVN", "tls.key": "/w=="}})
    {'ca.crt': 'PEM'}
    >>> read_files({})
    {}
    """
    files: dict[str, str] = {}
    for name, text in (secret.get("data") or {}).items():
        try:
            files[name] = base64.b64decode(text).decode("ascii")
        except (binascii.Error, UnicodeDecodeError):
            continue
    return files
