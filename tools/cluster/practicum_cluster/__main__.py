"""The command of the test cluster: ``python -m practicum_cluster up|down|load NAME...|measure NAME...``.

``measure`` builds images and computes the digests of their layers ahead of a ``load``.

It uses the cluster in KUBECONFIG; without one, kind if Docker runs, else the bare cluster.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from practicum_cluster.bare import BareCluster, get_reason_impossible
from practicum_cluster.given import KIND_NAME, bring_up_kind, find_given, get_kind_kubeconfig, load_into_kind
from practicum_cluster.shipping import build_images, build_shipments


def main() -> int:
    """Run the command in the arguments."""
    options = _read_options()
    started = time.monotonic()
    try:
        message = _ACTIONS[options.action](options)
    except (RuntimeError, TimeoutError, subprocess.CalledProcessError) as error:
        print(f"cluster: {error}", file=sys.stderr)
        return 4
    print(message)
    print(f"{options.action}: {time.monotonic() - started:.0f} s", file=sys.stderr)
    return 0


def _read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="practicum_cluster", description="A cluster to try Practicum on.")
    parser.add_argument("action", choices=sorted(_ACTIONS))
    parser.add_argument("names", nargs="*", default=["base", "train", "controller"], help="images of images/, for load")
    parser.add_argument("--gpus", type=int, default=1, help="GPUs that the bare cluster's node says it has")
    return parser.parse_args()


def _bring_up(options: argparse.Namespace) -> str:
    match choose():
        case "given":
            return f"KUBECONFIG={_find_given()}: used as it is; install Kueue and KubeRay yourself"
        case "kind":
            return f"export KUBECONFIG={bring_up_kind(options.gpus)}"
    cluster = BareCluster()
    cluster.up(options.gpus)
    cluster.install_operators()
    return f"export KUBECONFIG={cluster.kubeconfig}"


def _bring_down(options: argparse.Namespace) -> str:
    del options
    match choose():
        case "given":
            return f"KUBECONFIG={_find_given()}: left as it is"
        case "kind":
            subprocess.run(["kind", "delete", "cluster", "--name", KIND_NAME], check=True)
        case _:
            BareCluster().down()
    return "gone"


def _measure(options: argparse.Namespace) -> str:
    build_shipments(options.names)
    return f"measured {', '.join(options.names)}"


def _load(options: argparse.Namespace) -> str:
    if shutil.which("kind") and _runs_docker():
        load_into_kind("docker-image", build_images(options.names, "docker"))
    else:
        BareCluster().ship(*build_shipments(options.names))
    return f"loaded {', '.join(options.names)}"


def choose() -> str:
    """Return the kind of cluster to use: ``given``, ``kind`` or ``bare``."""
    if _find_given():
        return "given"
    if shutil.which("kind") and _runs_docker():
        return "kind"
    reason = get_reason_impossible()
    if reason:
        raise RuntimeError(f"set KUBECONFIG, or install kind and Docker; the bare cluster needs {reason}")
    return "bare"


def _find_given() -> Path | None:
    return find_given((BareCluster().kubeconfig, get_kind_kubeconfig()))


def _runs_docker() -> bool:
    command: Sequence[str] = ("docker", "info")
    return bool(shutil.which("docker")) and subprocess.run(command, check=False, capture_output=True).returncode == 0


_ACTIONS = {"up": _bring_up, "down": _bring_down, "load": _load, "measure": _measure}

if __name__ == "__main__":
    sys.exit(main())
