"""The key that engines of the same run ask for, put into the requests to them and to nobody else."""

from __future__ import annotations

import json
from collections.abc import Mapping
from urllib.parse import urlsplit

import aiohttp

from practicum_core.stage_process import ENDPOINTS_VARIABLE, SERVER_KEY_VARIABLE


def build_middlewares(variables: Mapping[str, str]) -> tuple[aiohttp.ClientMiddlewareType, ...]:
    """Build what puts the key into requests; nothing where this process was told no key.

    Args:
        variables: Of the process: the addresses of the servers that it uses, and their key.
    """
    key = variables.get(SERVER_KEY_VARIABLE)
    urls = [urlsplit(url) for url in json.loads(variables.get(ENDPOINTS_VARIABLE, "{}")).values()]
    places = {(url.hostname, url.port) for url in urls}
    # The same servers by the name of this machine's loopback.
    places |= {("localhost", port) for host, port in places if host == "127.0.0.1"}
    if not key or not places:
        return ()

    async def add_key(request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
        if (request.url.host, request.url.port) in places:
            request.headers["Authorization"] = f"Bearer {key}"
        return await handler(request)

    return (add_key,)
