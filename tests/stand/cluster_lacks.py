"""Says why a machine cannot run the bare cluster."""

from __future__ import annotations

from lacks import skip_lacking
from practicum_cluster.bare import get_reason_impossible


def require_bare_cluster() -> None:
    """Skip the test where no bare cluster can run."""
    reason = get_reason_impossible()
    if reason:
        skip_lacking(reason)
