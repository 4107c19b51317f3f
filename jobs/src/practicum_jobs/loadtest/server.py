"""The server under test before the test: whether it answers, with which model, and whether it takes such requests."""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx

from practicum_core.api_keys import KEY_FILE, KeyLimits, change_key_file, make_key
from practicum_core.errors import ConfigError, PlatformError, Reason, suggest_similar
from practicum_core.stages.loadtest import LoadtestConfig
from practicum_jobs.context import StageContext
from practicum_jobs.load.fleet import Target

_TIMEOUT_S = 30.0
_KEY_WAIT_S = 15.0
_KEY_PERIOD_S = 0.2
_SHOWN = 300
_REFUSED_KEY = frozenset({401, 403})
_CLIENT_FAULT = range(400, 500)
_PASSING = frozenset({408, 409, 425, 429})
_KEY_FIX = (
    "name the environment variable that holds a key (loadtest.key_variable, --key-variable), or a file with it "
    "(loadtest.key_file, --key-file); `practicum key make` makes a key"
)


def split_address(url: str) -> tuple[str, str]:
    """Return the address of the server and that of its API.

    >>> split_address("http://127.0.0.1:8000/v1"), split_address("http://127.0.0.1:8000/")
    (('http://127.0.0.1:8000', 'http://127.0.0.1:8000/v1'), ('http://127.0.0.1:8000', 'http://127.0.0.1:8000/v1'))
    """
    root = url.rstrip("/").removesuffix("/v1")
    return root, f"{root}/v1"


@contextlib.contextmanager
def hold_key(config: LoadtestConfig, ctx: StageContext) -> Iterator[str]:
    """Give the key of the requests, empty for none. One that is made for the test is revoked at the end.

    Raises:
        ConfigError: The variable or the file holds no key.
    """
    if not config.own_key:
        yield _read_key(config)
        return
    limits = KeyLimits(
        requests_per_minute=config.own_key_requests_per_minute,
        tokens_per_minute=config.own_key_tokens_per_minute,
        concurrent_requests=config.own_key_concurrent_requests,
    )
    secret, key = make_key(f"{ctx.step} {ctx.run.root.name}", limits, _now())
    path = ctx.experiments / KEY_FILE
    change_key_file(path, lambda file: file.add(key))
    try:
        yield secret
    finally:
        change_key_file(path, lambda file: file.revoke(key.id, _now()))


def find_target(config: LoadtestConfig, key: str) -> Target:
    """Ask the server for its models, and return where requests go.

    Raises:
        PlatformError: Nothing answers at the address.
        ConfigError: It refuses the key, is no server of OpenAI's API, or serves no such model.
    """
    _, api = split_address(config.url)
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    deadline_s = time.monotonic() + (_KEY_WAIT_S if config.own_key else 0.0)
    with httpx.Client(timeout=_TIMEOUT_S, headers=headers, trust_env=False) as client:
        answer = _ask(client, f"{api}/models")
        while answer.status_code in _REFUSED_KEY and time.monotonic() < deadline_s:
            time.sleep(_KEY_PERIOD_S)
            answer = _ask(client, f"{api}/models")
    if answer.status_code in _REFUSED_KEY:
        said = "refuses the key" if key else "asks for a key"
        raise ConfigError(f"{api}: the server {said} ({answer.status_code})", _KEY_FIX)
    model = _find_model(config.served_model, _read_models(api, answer), api)
    path = "chat/completions" if config.endpoint == "chat" else "completions"
    return Target(f"{api}/{path}", key, model, config.endpoint == "chat", config.ignore_eos, config.timeout_s)


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
        raise _explain_silence(target.url, error) from error
    if answer.status_code in _CLIENT_FAULT and answer.status_code not in _PASSING:
        shown = " ".join(said.decode(errors="replace").split())[:_SHOWN]
        if target.key:
            shown = shown.replace(target.key, "***")
        raise ConfigError(
            f"{target.url}: the server refuses such a request ({answer.status_code}): {shown}",
            "change loadtest.prompt_tokens, max_tokens, ignore_eos or endpoint accordingly",
        )


def _read_key(config: LoadtestConfig) -> str:
    if config.key_variable is not None:
        key = os.environ.get(config.key_variable, "").strip()
        if not key:
            raise ConfigError(
                f"the environment variable {config.key_variable} holds no key", "set it to a key before the run"
            )
        return key
    if config.key_file is None:
        return ""
    try:
        key = Path(config.key_file).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{config.key_file}: {error}", "name a file that holds a key") from error
    if not key or len(key.splitlines()) != 1:
        raise ConfigError(f"{config.key_file}: expected one line with a key", "name a file that holds a key")
    return key


def _ask(client: httpx.Client, url: str) -> httpx.Response:
    try:
        return client.get(url)
    except httpx.HTTPError as error:
        raise _explain_silence(url, error) from error


def _explain_silence(url: str, error: httpx.HTTPError) -> PlatformError:
    return PlatformError(
        Reason.UPSTREAM_UNAVAILABLE,
        f"{url}: no answer ({str(error) or type(error).__name__})",
        "start the server (practicum serve MODEL), or correct the address",
    )


def _read_models(api: str, answer: httpx.Response) -> list[str]:
    try:
        return [str(one["id"]) for one in answer.json()["data"]]
    except (ValueError, RecursionError, LookupError, TypeError) as error:
        shown = " ".join(answer.text[:_SHOWN].split())
        raise ConfigError(
            f"{api}/models: no list of models, but {answer.status_code}: {shown!r}",
            "give the address of a server that speaks OpenAI's API, with or without /v1",
        ) from error


def _find_model(name: str, served: list[str], api: str) -> str:
    if not served:
        raise ConfigError(f"{api}: the server serves no model", "wait until a model is loaded there")
    if name and name not in served:
        raise ConfigError(
            f"{api}: serves no model '{name}'{suggest_similar(name, served)}", f"it serves {', '.join(served)[:_SHOWN]}"
        )
    return name or served[0]


def _now() -> str:
    return dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
