"""Redis and PostgreSQL in pods of the bare cluster, which reaches no registry: the image has this machine's program."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from derived_images import derive_image
from postgres_server import find_postgres
from practicum_cluster.api import wait_until
from practicum_cluster.sandbox import CLUSTER_NETWORK
from practicum_cluster.shipping import Shipment
from school import is_ready

USER = 65532
_LIBRARIES = "opt/program/lib"
_GLIBC = re.compile(r"lib(c|m|dl|rt|pthread|resolv)\.so\.\d+")
"""The image has these of the same release of Debian; those of two builds must not be mixed."""
_NAMES = f"root:x:0:0:root:/root:/bin/sh\npracticum:x:{USER}:{USER}::/tmp:/bin/sh\n"
"""PostgreSQL refuses a user without a name."""


@dataclass(frozen=True)
class Program:
    """A server: its name, port and command, and its files, which lie at the same places in the image."""

    name: str
    port: int
    command: str
    files: tuple[Path, ...]
    binaries: tuple[Path, ...]
    """Those of the files whose libraries it needs."""


def build_redis() -> Program | None:
    """Return Redis with nothing on disk, where this machine has it."""
    found = shutil.which("redis-server")
    if found is None:
        return None
    binary = Path(found)
    options = "--bind 0.0.0.0 --protected-mode no --save '' --appendonly no --dir /tmp"
    return Program("redis", 6379, f"exec {binary} {options}", (binary,), (binary,))


def build_postgres() -> Program | None:
    """Return PostgreSQL with an empty database that any pod may use, where this machine has it."""
    folder = find_postgres()
    if folder is None:
        return None
    settings = {"listen_addresses": "*", "unix_socket_directories": "", "fsync": "off", "jit": "off"}
    options = " ".join(f"-c {name}='{value}'" for name, value in settings.items())
    command = (
        f"{folder}/initdb -D /tmp/data -U practicum -A trust -E UTF8 --locale=C -N"
        f" && echo 'host all all {CLUSTER_NETWORK} trust' >> /tmp/data/pg_hba.conf"
        f" && exec {folder}/postgres -D /tmp/data {options}"
    )
    shared = Path("/usr/share/postgresql") / folder.parent.name
    binaries = (folder / "initdb", folder / "postgres")
    return Program("postgres", 5432, command, (*binaries, folder.parent / "lib", shared), binaries)


def build_server_image(program: Program) -> Shipment:
    """Build the image of a server on top of ``practicum-base``, which must be built."""
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch)
        for path in program.files:
            _copy(path, root / path.relative_to("/"))
        for library in list_libraries(program.binaries):
            _copy(library, root / _LIBRARIES / library.name)
        (root / "etc").mkdir()
        (root / "etc/passwd").write_text(_NAMES)
        return derive_image("base", _get_reference(program), {path: f"/{path.name}" for path in sorted(root.iterdir())})


def list_libraries(binaries: Iterable[Path]) -> set[Path]:
    """Return the libraries that programs load at their start, except those of glibc itself."""
    said = subprocess.run(["ldd", *binaries], check=True, capture_output=True, text=True).stdout
    found = {Path(path) for path in re.findall(r"=> (/\S+)", said)}
    return {path for path in found if not _GLIBC.fullmatch(path.name)}


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        # What compiles against it or is compiled while it runs is larger than the rest.
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("bitcode", "llvmjit*", "pgxs"))
    else:
        shutil.copy(source, target)


def _get_reference(program: Program) -> str:
    return f"localhost/practicum-test-{program.name}:dev"


def start_server(school, namespace: str, program: Program) -> None:
    """Start a server's pod, reached by the server's name, and wait until it is ready. Its image must be on the node."""
    marks = {"app": program.name}
    about = {"name": program.name, "labels": marks}
    service = {"selector": marks, "ports": [{"port": program.port}]}
    school.api.apply({"apiVersion": "v1", "kind": "Service", "metadata": about, "spec": service}, namespace)
    school.api.apply({"apiVersion": "v1", "kind": "Pod", "metadata": about, "spec": _build_spec(program)}, namespace)
    path = f"/api/v1/namespaces/{namespace}/pods/{program.name}"
    wait_until(lambda: is_ready(school.api.get(path)), f"a ready {program.name}", 90, 0.5)


def _build_spec(program: Program) -> dict:
    amounts = {"cpu": "50m", "memory": "256Mi"}
    container = {
        "name": "main",
        "image": _get_reference(program),
        "imagePullPolicy": "Never",
        "command": ["sh", "-c", program.command],
        "env": [{"name": "LD_LIBRARY_PATH", "value": f"/{_LIBRARIES}"}, {"name": "TZ", "value": "UTC"}],
        "securityContext": {
            "readOnlyRootFilesystem": True,
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
        },
        "resources": {"requests": amounts, "limits": amounts | {"cpu": "1"}},
        "readinessProbe": {"tcpSocket": {"port": program.port}, "periodSeconds": 1},
        "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],  # noqa: S108 - a volume of the pod's own
    }
    return {
        "automountServiceAccountToken": False,
        "securityContext": {"runAsNonRoot": True, "runAsUser": USER, "seccompProfile": {"type": "RuntimeDefault"}},
        "terminationGracePeriodSeconds": 1,
        "containers": [container],
        "volumes": [{"name": "tmp", "emptyDir": {}}],
    }


def remove_server(school, namespace: str, program: Program) -> None:
    """Remove a server's pod at once, and its name."""
    school.client.kubectl("delete", "pod", program.name, "-n", namespace, "--force", "--grace-period=0")
    school.client.kubectl("delete", "service", program.name, "-n", namespace)
