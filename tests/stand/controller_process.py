"""The controller's real process: its certificate, its variables, its start."""

from __future__ import annotations

import os
import subprocess
import sys

import trustme


def write_certificate(folder):
    """Write what the process serves reports with, and the authority that its clients trust."""
    authority = trustme.CA()
    leaf = authority.issue_cert("localhost")
    authority.cert_pem.write_to_path(folder / "ca.crt")
    leaf.private_key_pem.write_to_path(folder / "tls.key")
    (folder / "tls.crt").write_bytes(b"".join(part.bytes() for part in leaf.cert_chain_pems))


def start_controller(server, tls, database, log, **variables):
    """Start the process; what it says is added to the file ``log``."""
    settings = {
        "KUBECONFIG": server.kubeconfig,
        "PRACTICUM_DATABASE_URL": f"sqlite:///{database}",
        "PRACTICUM_TLS_DIR": tls,
        **variables,
    }
    with log.open("ab") as output:
        return subprocess.Popen(
            [sys.executable, "-m", "practicum_controller"],
            env=os.environ | {key: str(value) for key, value in settings.items()},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
