"""The server under test before the test: where its requests go, and whether it takes such ones."""

from __future__ import annotations

from typing import Any

import httpx

from practicum_core.errors import ConfigError
from practicum_core.stages.loadtest import LoadtestConfig
from practicum_jobs.load.fleet import Target
from practicum_jobs.load.server import explain_silence, find_model, split_address

_SHOWN = 300
_CLIENT_FAULT = range(400, 500)
_PASSING = frozenset({408, 409, 425, 429})


def find_target(config: LoadtestConfig, key: str) -> Target:
    """Ask the server for its models, and return where requests go.

    Raises:
        PlatformError: Nothing answers at the address.
        ConfigError: It refuses the key, is no server of OpenAI's API, or serves no such model.
    """
    model = find_model(config.url, config, key)
    path = "chat/completions" if config.endpoint == "chat" else "completions"
    address = f"{split_address(config.url)[1]}/{path}"
    is_chat = config.endpoint == "chat"
    return Target(address, key, model, is_chat, config.ignore_eos, config.timeout_s, is_traced=config.traces)


def try_request(target: Target, prompt: str, max_tokens: int) -> None:
    """Send one request as the test will send them, so that one that can never work is told once.

    Args:
        target: Where requests go.
        prompt: JSON of the longest prompt.
        max_tokens: The most that the test asks for.

    Raises:
        ConfigError: The server refuses the request itself.
        PlatformError: It does not answer.
    """
    assignment = target.build_assignment(0.0, 0)
    body: dict[str, Any] = {**assignment.body, "max_tokens": max_tokens}
    content = httpx.Request("POST", target.url, json=body).content.removesuffix(b"}")
    content += f', "{assignment.prompt_field}": {prompt}}}'.encode()
    headers = {"Content-Type": "application/json"}
    if target.key:
        headers["Authorization"] = f"Bearer {target.key}"
    try:
        with (
            httpx.Client(timeout=target.timeout_s, headers=headers, trust_env=False) as client,
            client.stream("POST", target.url, content=content) as answer,
        ):
            # The first part of an answer says enough; closing the connection tells the server to stop.
            said = next(answer.iter_bytes(), b"")
    except httpx.HTTPError as error:
        raise explain_silence(target.url, error) from error
    if answer.status_code in _CLIENT_FAULT and answer.status_code not in _PASSING:
        shown = " ".join(said.decode(errors="replace").split())[:_SHOWN]
        if target.key:
            shown = shown.replace(target.key, "***")
        raise ConfigError(
            f"{target.url}: the server refuses such a request ({answer.status_code}): {shown}",
            "change loadtest.prompt_tokens, max_tokens, ignore_eos or endpoint accordingly",
        )
