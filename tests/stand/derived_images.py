"""Images that the tests derive from the images of this checkout, by files more and variables."""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Mapping
from pathlib import Path

from practicum_cluster.layout import TOOLS
from practicum_cluster.shipping import Shipment, export_image

_SCRIPT = """
set -euo pipefail
. "{engine}"
engine=buildah
exec 8>"$cache/locks/images.lock"
flock 8
container=$(run_buildah from "localhost/practicum-{source}:dev")
{changes}
run_buildah commit --quiet --rm "$container" "{reference}" >/dev/null
"""


def derive_image(
    source: str, reference: str, files: Mapping[Path, str], variables: Mapping[str, str] | None = None
) -> Shipment:
    """Derive an image from ``practicum-SOURCE``, which must be built, and return it ready for a node.

    Args:
        source: Name of an image of `images/`.
        reference: What pods call the new one.
        files: Files and folders with their places in the image.
        variables: Environment variables to set.
    """
    copies = [
        f'run_buildah copy --quiet "$container" {shlex.quote(str(path))} {place} >/dev/null'
        for path, place in files.items()
    ]
    settings = [f'run_buildah config --env {name}={value} "$container"' for name, value in (variables or {}).items()]
    engine = TOOLS.parent / "images/engine.sh"
    script = _SCRIPT.format(engine=engine, source=source, reference=reference, changes="\n".join((*copies, *settings)))
    subprocess.run(["bash", "-c", script], check=True)
    return export_image(reference)
