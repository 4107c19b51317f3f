"""Lines of a watch, each an event, from chunks of bytes."""

from __future__ import annotations

from collections.abc import AsyncIterator


async def split_lines(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Yield lines of any length; the HTTP library's own reader refuses those of more than 128 KiB."""
    rest = bytearray()
    async for chunk in chunks:
        searched = len(rest)
        rest += chunk
        begin = 0
        while (end := rest.find(b"\n", max(begin, searched))) >= 0:
            if end > begin:
                yield bytes(rest[begin:end])
            begin = end + 1
        del rest[:begin]
