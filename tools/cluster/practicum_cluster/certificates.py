"""Certificates of the test cluster: one certificate authority, and a certificate for each server and client.

OpenSSL creates them. Keys are ECDSA P-256, which are a hundred times as fast to create as RSA keys.
"""

from __future__ import annotations

import ipaddress
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_NUM_DAYS = 30
_NEW_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")


@dataclass(frozen=True)
class Certificate:
    """The PEM files of a certificate and its key."""

    certificate: Path
    key: Path


@dataclass(frozen=True)
class Authority:
    """A certificate authority whose files are in one folder."""

    folder: Path
    name: str = "ca"

    @property
    def certificate(self) -> Path:
        """The certificate of the authority."""
        return self.folder / f"{self.name}.crt"

    @property
    def _key(self) -> Path:
        return self.folder / f"{self.name}.key"

    def ensure(self) -> None:
        """Create the authority if it does not exist."""
        if not self.certificate.exists():
            self._request(self.name, f"practicum-{self.name}", (), _build_extensions(is_authority=True))

    def issue(
        self, name: str, common: str, organizations: Sequence[str] = (), names: Sequence[str] = ()
    ) -> Certificate:
        """Return a new certificate for servers and clients; ``names`` are host names and addresses."""
        extensions = _build_extensions(is_authority=False, names=names)
        signing = ("-CA", str(self.certificate), "-CAkey", str(self._key))
        self._request(name, common, organizations, extensions, signing)
        return Certificate(self.folder / f"{name}.crt", self.folder / f"{name}.key")

    def _request(
        self, name: str, common: str, organizations: Sequence[str], extensions: str, signing: Sequence[str] = ()
    ) -> None:
        subject = "".join(f"{index}.O = {each}\n" for index, each in enumerate(organizations)) + f"CN = {common}\n"
        settings = self.folder / f"{name}.cnf"
        settings.write_text(
            "[req]\ndistinguished_name = subject\nprompt = no\nx509_extensions = extensions\n"
            f"[subject]\n{subject}[extensions]\n{extensions}"
        )
        files = ("-keyout", str(self.folder / f"{name}.key"), "-out", str(self.folder / f"{name}.crt"))
        command = ("openssl", "req", "-x509", "-days", str(_NUM_DAYS), "-config", str(settings), *_NEW_KEY)
        subprocess.run([*command, *signing, *files], check=True, capture_output=True)


def _build_extensions(*, is_authority: bool, names: Sequence[str] = ()) -> str:
    if is_authority:
        return (
            "basicConstraints = critical,CA:TRUE\nkeyUsage = critical,keyCertSign,cRLSign\n"
            "subjectKeyIdentifier = hash\n"
        )
    alternatives = ",".join(_build_alternative(name) for name in names)
    return (
        "basicConstraints = critical,CA:FALSE\nkeyUsage = critical,digitalSignature\n"
        "extendedKeyUsage = serverAuth,clientAuth\n" + (f"subjectAltName = {alternatives}\n" if names else "")
    )


def _build_alternative(name: str) -> str:
    """Return a subject alternative name in the syntax of OpenSSL.

    >>> _build_alternative("10.96.0.1"), _build_alternative("kubernetes.default.svc")
    ('IP:10.96.0.1', 'DNS:kubernetes.default.svc')
    """
    try:
        return f"IP:{ipaddress.ip_address(name)}"
    except ValueError:
        return f"DNS:{name}"
