"""The certificate of the ingest that the controller issues itself: an authority, and a server certificate signed by it.

Pods trust the authority, so they need no change when the server certificate is renewed. The authority is valid for ten
times as long. When it is replaced, pods trust both until the old one expires.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

AUTHORITY, AUTHORITY_KEY, CERTIFICATE, KEY = "ca.crt", "ca.key", "tls.crt", "tls.key"
_LIVES_OF_AUTHORITY = 10
_SKEW = dt.timedelta(hours=1)
"""How far clocks of nodes may be behind."""
Files = Mapping[str, str]


def renew(kept: Files, hosts: Sequence[str], validity: dt.timedelta, now: dt.datetime) -> dict[str, str] | None:
    """Return the files to use from now on, PEM by file name; ``None`` if those that are kept still do.

    A server certificate is renewed when a third of its time is left, or when the hosts changed.

    Args:
        kept: The files as they are kept; empty, partial or unreadable ones are replaced.
        hosts: Host names of the server, the first of them its common name.
        validity: Lifetime of a server certificate.
        now: The time, with a time zone.
    """
    try:
        authority = x509.load_pem_x509_certificates(kept[AUTHORITY].encode())[0]
        authority_key = _read_key(kept[AUTHORITY_KEY])
        is_authority_good = authority.not_valid_after_utc - now > validity and _is_pair(authority, authority_key)
    except (KeyError, ValueError, TypeError):
        return _issue_all(kept, hosts, validity, now)
    if not is_authority_good:
        return _issue_all(kept, hosts, validity, now)
    if _is_good(kept, authority, hosts, validity, now):
        return None
    return {**kept, **_issue_server(authority, authority_key, hosts, validity, now)}


def _is_good(
    kept: Files, authority: x509.Certificate, hosts: Sequence[str], validity: dt.timedelta, now: dt.datetime
) -> bool:
    try:
        certificate = x509.load_pem_x509_certificate(kept[CERTIFICATE].encode())
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        certificate.verify_directly_issued_by(authority)
        is_pair = _is_pair(certificate, _read_key(kept[KEY]))
    except (KeyError, ValueError, TypeError, InvalidSignature, x509.ExtensionNotFound):
        return False
    is_fresh = certificate.not_valid_after_utc - now > validity / 3
    return is_fresh and is_pair and names.get_values_for_type(x509.DNSName) == list(hosts)


def _issue_all(kept: Files, hosts: Sequence[str], validity: dt.timedelta, now: dt.datetime) -> dict[str, str]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"{hosts[0]}-ca"[:64])])
    usage = x509.KeyUsage(
        digital_signature=False,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=True,
        crl_sign=True,
        encipher_only=False,
        decipher_only=False,
    )
    authority = (
        _begin(name, key.public_key(), validity * _LIVES_OF_AUTHORITY, now)
        .issuer_name(name)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .sign(key, hashes.SHA256())
    )
    trusted = [authority, *_list_valid(kept.get(AUTHORITY, ""), now)[:1]]
    return {
        AUTHORITY: "".join(_write(one) for one in trusted),
        AUTHORITY_KEY: _write_key(key),
        **_issue_server(authority, key, hosts, validity, now),
    }


def _issue_server(
    authority: x509.Certificate,
    authority_key: ec.EllipticCurvePrivateKey,
    hosts: Sequence[str],
    validity: dt.timedelta,
    now: dt.datetime,
) -> dict[str, str]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, hosts[0][:64])])
    issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key())
    certificate = (
        _begin(name, key.public_key(), validity, now)
        .issuer_name(authority.subject)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host) for host in hosts]), critical=False)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(issuer, critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    return {CERTIFICATE: _write(certificate), KEY: _write_key(key)}


def _begin(
    name: x509.Name, key: ec.EllipticCurvePublicKey, validity: dt.timedelta, now: dt.datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _SKEW)
        .not_valid_after(now + validity)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _list_valid(text: str, now: dt.datetime) -> list[x509.Certificate]:
    try:
        found = x509.load_pem_x509_certificates(text.encode())
    except ValueError:
        return []
    return [one for one in found if one.not_valid_after_utc > now]


def _is_pair(certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> bool:
    return certificate.public_key() == key.public_key()


def _read_key(text: str) -> ec.EllipticCurvePrivateKey:
    key = serialization.load_pem_private_key(text.encode(), None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise TypeError("not a key of an elliptic curve")
    return key


def _write(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def _write_key(key: ec.EllipticCurvePrivateKey) -> str:
    form = serialization.PrivateFormat.PKCS8
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()).decode()
