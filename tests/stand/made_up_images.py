"""Images with the made-up stages in them, built on top of the images of this checkout."""

from __future__ import annotations

from pathlib import Path

from derived_images import derive_image
from practicum_cluster.shipping import Shipment

PACKAGE = Path(__file__).with_name("made_up")


def get_reference(name: str) -> str:
    """Return what pods call such an image."""
    return f"localhost/practicum-made-up-{name}:dev"


def build_made_up_image(name: str) -> Shipment:
    """Build the image ``practicum-NAME`` with the made-up stages, ready for a node. The image itself must be built."""
    variables = {"PRACTICUM_STAGE_PACKAGES": "made_up"}
    return derive_image(name, get_reference(name), {PACKAGE: "/opt/practicum/src/made_up"}, variables)
