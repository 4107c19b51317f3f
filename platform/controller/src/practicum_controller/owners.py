"""Which object controls another one, as its owner references say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def get_owner_uid(document: Mapping[str, Any]) -> str | None:
    """Return the uid of the controller that owns an object.

    >>> get_owner_uid({"metadata": {"ownerReferences": [{"uid": "a"}, {"uid": "b", "controller": True}]}})
    'b'
    """
    references = document["metadata"].get("ownerReferences", ())
    return next((one["uid"] for one in references if one.get("controller")), None)
