"""Images with the made-up stages in them, built on top of the images of this checkout."""

from __future__ import annotations

import subprocess
from pathlib import Path

from practicum_cluster.layout import TOOLS
from practicum_cluster.shipping import Shipment, export_image

PACKAGE = Path(__file__).with_name("made_up")
_SCRIPT = """
set -euo pipefail
. "{engine}"
engine=buildah
exec 8>"$cache/locks/images.lock"
flock 8
container=$(run_buildah from "localhost/practicum-{name}:dev")
run_buildah copy --quiet "$container" "{package}" /opt/practicum/src/made_up >/dev/null
run_buildah config --env PRACTICUM_STAGE_PACKAGES=made_up "$container"
run_buildah commit --quiet --rm "$container" "{reference}" >/dev/null
"""


def get_reference(name: str) -> str:
    """Return what pods call such an image."""
    return f"localhost/practicum-made-up-{name}:dev"


def build_made_up_image(name: str) -> Shipment:
    """Build the image ``practicum-NAME`` with the made-up stages, ready for a node. The image itself must be built."""
    engine = TOOLS.parent / "images/engine.sh"
    script = _SCRIPT.format(engine=engine, name=name, package=PACKAGE, reference=get_reference(name))
    subprocess.run(["bash", "-c", script], check=True)
    return export_image(get_reference(name))
