"""Files of JSON lines that a gateway continues after it was killed."""

from __future__ import annotations

import logging
import os
from pathlib import Path

_TAIL_BYTES = 4 << 20
"""More than any line has."""
_LOG = logging.getLogger(__name__)


def drop_cut_line(path: Path) -> None:
    """Take away what follows the last whole line, if the file is there.

    A write that was cut off by the end of its process or by a full disk would spoil the next line too, and readers that
    want each line whole would refuse the file.

    Raises:
        OSError: The file cannot be changed.
    """
    # Not of a device or a pipe, which have no end.
    if not path.is_file():
        return
    with path.open("rb+") as file:
        size_bytes = file.seek(0, os.SEEK_END)
        file.seek(max(size_bytes - _TAIL_BYTES, 0))
        tail = file.read()
        num_cut = len(tail) - (tail.rfind(b"\n") + 1)
        if num_cut:
            file.truncate(size_bytes - num_cut)
            _LOG.warning("%s ended within a line; its last %d bytes are dropped", path, num_cut)
