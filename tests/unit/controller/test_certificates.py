"""The certificate that the controller issues: what a TLS client says of it, when it is renewed, where it is kept."""

from __future__ import annotations

import asyncio
import base64
import datetime as dt
import socket
import ssl
import threading

import pytest
from cryptography import x509

from practicum_controller.certificates import AUTHORITY, AUTHORITY_KEY, CERTIFICATE, KEY, renew
from practicum_controller.client import ApiFault
from practicum_controller.own_certificate import OwnCertificate
from practicum_controller.settings import Settings
from practicum_core.errors import ConfigError

NOW = dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC)
YEAR = dt.timedelta(days=365)
HOSTS = ["practicum-controller.practicum-system.svc", "practicum-controller"]


def greet(files, trusted, host, folder):
    """Serve once with the files, and return what a client that trusts an authority is told."""
    for name in (CERTIFICATE, KEY):
        (folder / name).write_text(files[name])
    served = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    served.load_cert_chain(folder / CERTIFICATE, folder / KEY)
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve():
            accepted, _ = listener.accept()
            with accepted:
                try:
                    with served.wrap_socket(accepted, server_side=True) as stream:
                        stream.sendall(b"hello")
                except ssl.SSLError:
                    return

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            context = ssl.create_default_context(cadata=trusted)
            plain = socket.create_connection(listener.getsockname(), timeout=10)
            with plain, context.wrap_socket(plain, server_hostname=host) as stream:
                return stream.recv(5)
        finally:
            thread.join()


def test_a_client_that_trusts_the_authority_trusts_every_host_and_no_other(tmp_path):
    files = renew({}, HOSTS, YEAR, dt.datetime.now(dt.UTC))
    for host in HOSTS:
        assert greet(files, files[AUTHORITY], host, tmp_path) == b"hello"
    with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
        greet(files, files[AUTHORITY], "another.svc", tmp_path)
    strangers = renew({}, HOSTS, YEAR, dt.datetime.now(dt.UTC))
    with pytest.raises(ssl.SSLCertVerificationError, match="CERTIFICATE_VERIFY_FAILED"):
        greet(files, strangers[AUTHORITY], HOSTS[0], tmp_path)


def test_a_renewed_certificate_is_trusted_by_those_who_run(tmp_path):
    now = dt.datetime.now(dt.UTC)
    first = renew({}, HOSTS, YEAR, now - dt.timedelta(days=300))
    assert renew(first, HOSTS, YEAR, now - dt.timedelta(days=200)) is None
    second = renew(first, HOSTS, YEAR, now)
    assert (second[AUTHORITY], second[AUTHORITY_KEY]) == (first[AUTHORITY], first[AUTHORITY_KEY])
    assert second[CERTIFICATE] != first[CERTIFICATE]
    assert greet(second, first[AUTHORITY], HOSTS[0], tmp_path) == b"hello"
    assert renew(second, HOSTS, YEAR, now) is None


def test_an_authority_near_its_end_is_replaced_and_trusted_beside_the_new_one(tmp_path):
    now = dt.datetime.now(dt.UTC)
    first = renew({}, HOSTS, YEAR, now - 9.5 * YEAR)
    second = renew(first, HOSTS, YEAR, now)
    trusted = x509.load_pem_x509_certificates(second[AUTHORITY].encode())
    assert len(trusted) == 2
    assert trusted[1] == x509.load_pem_x509_certificate(first[AUTHORITY].encode())
    assert greet(second, second[AUTHORITY], HOSTS[0], tmp_path) == b"hello"
    assert renew(second, HOSTS, YEAR, now) is None
    # The one after it drops the first.
    third = renew(second, HOSTS, YEAR, now + 9.5 * YEAR)
    assert x509.load_pem_x509_certificates(third[AUTHORITY].encode())[1] == trusted[0]


OWN = "own"
MADE = renew({}, HOSTS, YEAR, NOW)
OTHER = renew({}, HOSTS, YEAR, NOW)


@pytest.mark.parametrize(
    "kept",
    [
        pytest.param(MADE | {AUTHORITY: "no certificate"}, id="authority"),
        pytest.param(MADE | {AUTHORITY_KEY: OTHER[AUTHORITY_KEY]}, id="key of another authority"),
        pytest.param(MADE | {CERTIFICATE: OTHER[CERTIFICATE], KEY: OTHER[KEY]}, id="of another authority"),
        pytest.param(MADE | {KEY: OTHER[KEY]}, id="key of another certificate"),
        pytest.param(MADE | {KEY: "-----BEGIN PRIVATE KEY-----\nAA==\n-----END PRIVATE KEY-----\n"}, id="half a key"),
        pytest.param({CERTIFICATE: MADE[CERTIFICATE], KEY: MADE[KEY]}, id="no authority"),
    ],
)
def test_what_was_edited_by_hand_is_replaced(kept):
    made = renew(kept, HOSTS, YEAR, NOW)
    assert made is not None
    assert renew(made, HOSTS, YEAR, NOW) is None


def test_another_host_takes_another_certificate_of_the_same_authority():
    moved = renew(MADE, ["school-controller.school.svc"], YEAR, NOW)
    assert moved[AUTHORITY] == MADE[AUTHORITY]
    assert moved[CERTIFICATE] != MADE[CERTIFICATE]


class SecretStore:
    """A cluster with one Secret, which refuses what was decided on an older version."""

    def __init__(self, secret):
        self.secret, self.rival, self.writes = secret, None, 0

    async def read(self, path):
        assert path == f"/api/v1/namespaces/practicum-system/secrets/{OWN}"
        return self.secret

    async def patch(self, resource, namespace, name, document):
        if self.rival is not None:
            self.secret, self.rival = self.rival, None
        if document["metadata"]["resourceVersion"] != self.secret["metadata"]["resourceVersion"]:
            raise ApiFault(409, "the object has been modified", "secrets")
        self.writes += 1
        version = str(int(self.secret["metadata"]["resourceVersion"]) + 1)
        self.secret = {"metadata": {"resourceVersion": version}, "data": document["data"]}


def build_own(store, folder):
    settings = Settings(tls_dir=str(folder), tls_secret=OWN, tls_hosts=",".join(HOSTS))
    return OwnCertificate(store, settings, lambda: NOW)


def encode(files):
    return {name: base64.b64encode(text.encode()).decode() for name, text in files.items()}


def test_an_empty_secret_is_filled_once_and_each_replica_has_the_same(tmp_path):
    store = SecretStore({"metadata": {"resourceVersion": "1"}})
    for name in ("first", "second"):
        asyncio.run(build_own(store, tmp_path / name).ensure())
    assert store.writes == 1
    read = [{one.name: one.read_text() for one in (tmp_path / name).iterdir()} for name in ("first", "second")]
    assert read[0] == read[1]
    # The key of the authority stays in the Secret.
    assert set(read[0]) == {AUTHORITY, CERTIFICATE, KEY}


def test_the_certificate_of_a_faster_replica_is_taken(tmp_path):
    store = SecretStore({"metadata": {"resourceVersion": "1"}})
    store.rival = {"metadata": {"resourceVersion": "2"}, "data": encode(MADE)}
    asyncio.run(build_own(store, tmp_path).ensure())
    assert store.writes == 0
    assert (tmp_path / CERTIFICATE).read_text() == MADE[CERTIFICATE]


def test_a_missing_secret_is_told_with_what_to_do(tmp_path):
    with pytest.raises(ConfigError, match="Secret own is not in namespace practicum-system"):
        asyncio.run(build_own(SecretStore(None), tmp_path).ensure())
